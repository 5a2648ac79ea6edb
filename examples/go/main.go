// SPDX-License-Identifier: Apache-2.0

// Scores four payments: scores MODEL
package main

import (
	"fmt"
	"math"
	"os"
)

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("expected the path of a model")
	}
	model, err := Open(os.Args[1])
	if err != nil {
		return err
	}
	defer model.Close()
	missing := float32(math.NaN())
	scores, err := model.Predict([]float32{ // amount, hour, account_days
		25.0, 14, 800,
		250.0, 3, 12,
		missing, 23, 400,
		90.5, 9, missing,
	})
	if err != nil {
		return err
	}
	for _, score := range scores {
		fmt.Printf("%.9f\n", score)
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scores:", err)
		os.Exit(1)
	}
}
