// SPDX-License-Identifier: Apache-2.0

// Command peers calls a server of the Open Inference Protocol through grpc-go and prints what came back, one line per
// call, for test_stubs.py to judge. The same program stands in ../java.
//
//	peers ADDRESS MODEL COLUMNS VALUE...
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"peers/inference"
)

const streamed = 1000

type peer struct {
	inference.GRPCInferenceServiceClient
	context.Context
	model   string
	columns int
	values  []float32
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func raw(values []float32) []byte {
	var bytes bytes.Buffer
	must(0, binary.Write(&bytes, binary.LittleEndian, values))
	return bytes.Bytes()
}

// request asks for the scores of some values, as raw bytes or as a typed field.
func (p *peer) request(values []float32, typed bool) *inference.ModelInferRequest {
	input := &inference.ModelInferRequest_InferInputTensor{
		Name: "input", Datatype: "FP32", Shape: []int64{int64(len(values) / p.columns), int64(p.columns)},
	}
	request := &inference.ModelInferRequest{
		ModelName: p.model, Inputs: []*inference.ModelInferRequest_InferInputTensor{input},
	}
	if typed {
		input.Contents = &inference.InferTensorContents{Fp32Contents: values}
	} else {
		request.RawInputContents = [][]byte{raw(values)}
	}
	return request
}

func scores(reply *inference.ModelInferResponse) []float32 {
	data := reply.RawOutputContents[0]
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

func show(name string, values []float32) {
	fmt.Print(name)
	for _, value := range values {
		fmt.Print(" ", strconv.FormatFloat(float64(value), 'g', -1, 32))
	}
	fmt.Println()
}

func (p *peer) describe() {
	live := must(p.ServerLive(p, &inference.ServerLiveRequest{}))
	fmt.Println("live", live.Live)
	metadata := must(p.ModelMetadata(p, &inference.ModelMetadataRequest{Name: p.model}))
	fmt.Println("metadata", metadata.Name, metadata.Inputs[0].Name, metadata.Inputs[0].Datatype,
		metadata.Outputs[0].Name, metadata.Outputs[0].Datatype)
}

func (p *peer) infer() {
	show("raw", scores(must(p.ModelInfer(p, p.request(p.values, false)))))
	show("typed", scores(must(p.ModelInfer(p, p.request(p.values, true)))))
	show("gzip", scores(must(p.ModelInfer(p, p.request(p.values, false), grpc.UseCompressor(gzip.Name)))))
}

// stream sends one row a message while another goroutine receives, and counts the answers that come in order.
func (p *peer) stream() {
	call := must(p.ModelStreamInfer(p))
	rows := len(p.values) / p.columns
	go func() {
		for i := 0; i < streamed; i++ {
			row := i % rows
			request := p.request(p.values[row*p.columns:(row+1)*p.columns], false)
			request.Id = strconv.Itoa(i)
			must(0, call.Send(request))
		}
		must(0, call.CloseSend())
	}()
	first, n := make([]float32, rows), 0
	for ; ; n++ {
		message, err := call.Recv()
		if err == io.EOF {
			break
		}
		reply := must(message, err).InferResponse
		score := scores(reply)[0]
		if n < rows {
			first[n] = score
		}
		if reply.Id != strconv.Itoa(n) || score != first[n%rows] {
			log.Fatalf("message %d: id %q, score %v", n, reply.Id, score)
		}
	}
	fmt.Println("streamed", n)
	show("stream", first)
}

// deadline opens a stream, sees it answer once, and waits until its time is up.
func (p *peer) deadline() {
	limited, cancel := context.WithTimeout(p.Context, 2*time.Second)
	defer cancel()
	call := must(p.ModelStreamInfer(limited))
	must(0, call.Send(p.request(p.values, false)))
	must(call.Recv())
	_, err := call.Recv()
	fmt.Println("deadline", int(status.Code(err)))
}

func (p *peer) fail() {
	request := p.request(p.values, false)
	request.ModelName = "nobody"
	_, err := p.ModelInfer(p, request)
	fmt.Println("absent", int(status.Code(err)), status.Convert(err).Message())
	_, err = p.ModelInfer(p, &inference.ModelInferRequest{ModelName: p.model})
	fmt.Println("empty", int(status.Code(err)), status.Convert(err).Message())
}

func main() {
	connection := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer connection.Close()
	whole, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := &peer{
		GRPCInferenceServiceClient: inference.NewGRPCInferenceServiceClient(connection), Context: whole,
		model: os.Args[2], columns: must(strconv.Atoi(os.Args[3])),
	}
	for _, text := range os.Args[4:] {
		p.values = append(p.values, float32(must(strconv.ParseFloat(text, 32))))
	}
	p.describe()
	p.infer()
	p.stream()
	p.deadline()
	p.fail()
}
