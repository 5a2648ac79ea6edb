# SPDX-License-Identifier: Apache-2.0
"""Runs in MLflow's environment: mlflow_calls.py PORT COLUMNS ROWS prints a JSON object of what came back."""

import json
import sys

import pandas
from mlflow.deployments import PredictionsResponse
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

PORT, COLUMNS, ROWS = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])


def values(answer):
    assert isinstance(answer, PredictionsResponse)
    return answer.get_predictions("dataframe").iloc[:, 0].tolist()


def refusal(call):
    try:
        return f"no error but {call()}"
    except Exception as error:  # the client raises nothing narrower
        return str(error)


def main():
    frame = pandas.DataFrame(ROWS, columns=COLUMNS)
    client = ScoringServerClient("127.0.0.1", PORT)
    client.ping()
    client.wait_server_ready(timeout=10)
    answers = {
        "version": client.get_version(),
        "frame": values(client.invoke(frame)),
        "other order": values(client.invoke(frame[COLUMNS[::-1]])),
        "records": values(client.invoke(json.dumps({"dataframe_records": frame.to_dict(orient="records")}))),
        "inputs": values(client.invoke([dict(zip(COLUMNS, row)) for row in ROWS])),
        "margins": values(client.invoke(frame, params={"output": "margins"})),
        "text for a number": refusal(lambda: client.invoke(frame.assign(**{COLUMNS[0]: "x"}))),
        "unknown parameter": values(client.invoke(frame, params={"temperature": 1})),
    }
    json.dump(answers, sys.stdout)


main()
