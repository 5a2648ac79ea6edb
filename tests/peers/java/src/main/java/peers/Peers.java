// SPDX-License-Identifier: Apache-2.0
package peers;

import com.google.protobuf.ByteString;
import inference.GRPCInferenceServiceGrpc;
import inference.GrpcService.InferTensorContents;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelInferResponse;
import inference.GrpcService.ModelMetadataRequest;
import inference.GrpcService.ModelStreamInferResponse;
import inference.GrpcService.ServerLiveRequest;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Calls a server of the Open Inference Protocol through grpc-java and prints what came back, one line per call, for
 * test_stubs.py to judge. The same program stands in ../go.
 *
 * <p>Arguments: HOST:PORT MODEL COLUMNS VALUE...
 */
public final class Peers {
    private static final int STREAMED = 1000;

    private final GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub calls;
    private final GRPCInferenceServiceGrpc.GRPCInferenceServiceStub streams;
    private final String model;
    private final int columns;
    private final float[] values;

    private Peers(ManagedChannel channel, String[] arguments) {
        calls = GRPCInferenceServiceGrpc.newBlockingStub(channel);
        streams = GRPCInferenceServiceGrpc.newStub(channel);
        model = arguments[1];
        columns = Integer.parseInt(arguments[2]);
        values = new float[arguments.length - 3];
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.parseFloat(arguments[3 + i]);
        }
    }

    /** Collects the answers of a stream, and at last its status. */
    private static final class Answers implements StreamObserver<ModelStreamInferResponse> {
        final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();

        @Override
        public void onNext(ModelStreamInferResponse answer) {
            queue.add(answer);
        }

        @Override
        public void onError(Throwable error) {
            queue.add(Status.fromThrowable(error));
        }

        @Override
        public void onCompleted() {
            queue.add(Status.OK);
        }

        Object next() throws InterruptedException {
            Object answer = queue.poll(60, TimeUnit.SECONDS);
            check(answer != null, "no answer in a minute");
            return answer;
        }
    }

    private static void check(boolean holds, String problem) {
        if (!holds) {
            throw new IllegalStateException(problem);
        }
    }

    private static ByteString raw(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return ByteString.copyFrom(bytes);
    }

    /** A request for the scores of some values, as raw bytes or as a typed field. */
    private ModelInferRequest.Builder request(float[] values, boolean typed) {
        ModelInferRequest.InferInputTensor.Builder input = ModelInferRequest.InferInputTensor.newBuilder()
                .setName("input").setDatatype("FP32").addShape(values.length / columns).addShape(columns);
        ModelInferRequest.Builder request = ModelInferRequest.newBuilder().setModelName(model);
        if (typed) {
            InferTensorContents.Builder contents = InferTensorContents.newBuilder();
            for (float value : values) {
                contents.addFp32Contents(value);
            }
            input.setContents(contents);
        } else {
            request.addRawInputContents(raw(values));
        }
        return request.addInputs(input);
    }

    private static float[] scores(ModelInferResponse reply) {
        FloatBuffer data = reply.getRawOutputContents(0).asReadOnlyByteBuffer()
                .order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
        float[] values = new float[data.remaining()];
        data.get(values);
        return values;
    }

    private static void show(String name, float[] values) {
        List<String> texts = new ArrayList<>(List.of(name));
        for (float value : values) {
            texts.add(Float.toString(value));
        }
        System.out.println(String.join(" ", texts));
    }

    private void describe() {
        System.out.println("live " + calls.serverLive(ServerLiveRequest.getDefaultInstance()).getLive());
        var metadata = calls.modelMetadata(ModelMetadataRequest.newBuilder().setName(model).build());
        var input = metadata.getInputs(0);
        var output = metadata.getOutputs(0);
        System.out.println(String.join(" ", "metadata", metadata.getName(), input.getName(), input.getDatatype(),
                output.getName(), output.getDatatype()));
    }

    private void infer() {
        show("raw", scores(calls.modelInfer(request(values, false).build())));
        show("typed", scores(calls.modelInfer(request(values, true).build())));
        show("gzip", scores(calls.withCompression("gzip").modelInfer(request(values, false).build())));
    }

    /** Sends one row a message, and counts the answers that come in order. */
    private void stream() throws InterruptedException {
        Answers answers = new Answers();
        StreamObserver<ModelInferRequest> call = streams.modelStreamInfer(answers);
        int rows = values.length / columns;
        for (int i = 0; i < STREAMED; i++) {
            int row = i % rows;
            float[] one = Arrays.copyOfRange(values, row * columns, (row + 1) * columns);
            call.onNext(request(one, false).setId(Integer.toString(i)).build());
        }
        call.onCompleted();
        float[] first = new float[rows];
        int n = 0;
        for (Object next = answers.next(); next != Status.OK; next = answers.next(), n++) {
            check(next instanceof ModelStreamInferResponse, "message " + n + ": " + next);
            ModelInferResponse reply = ((ModelStreamInferResponse) next).getInferResponse();
            float score = scores(reply)[0];
            if (n < rows) {
                first[n] = score;
            }
            check(reply.getId().equals(Integer.toString(n)) && score == first[n % rows],
                    "message " + n + ": id " + reply.getId() + ", score " + score);
        }
        System.out.println("streamed " + n);
        show("stream", first);
    }

    /** Opens a stream, sees it answer once, and waits until its time is up. */
    private void expire() throws InterruptedException {
        Answers answers = new Answers();
        streams.withDeadlineAfter(2, TimeUnit.SECONDS).modelStreamInfer(answers)
                .onNext(request(values, false).build());
        check(answers.next() instanceof ModelStreamInferResponse, "no answer before the deadline");
        System.out.println("deadline " + ((Status) answers.next()).getCode().value());
    }

    private void fail(String name, ModelInferRequest request) {
        try {
            calls.modelInfer(request);
        } catch (StatusRuntimeException error) {
            Status status = error.getStatus();
            System.out.println(name + " " + status.getCode().value() + " " + status.getDescription());
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
        try {
            Peers peers = new Peers(channel, arguments);
            peers.describe();
            peers.infer();
            peers.stream();
            peers.expire();
            peers.fail("absent", peers.request(peers.values, false).setModelName("nobody").build());
            peers.fail("empty", ModelInferRequest.newBuilder().setModelName(peers.model).build());
        } finally {
            channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
        }
    }
}
