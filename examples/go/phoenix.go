// SPDX-License-Identifier: Apache-2.0

package main

/*
#cgo pkg-config: phoenix
#include <phoenix/phoenix.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Model is a tree model scored by libphoenix. Any number of goroutines may use it at once.
type Model struct {
	handle            *C.phx_model
	Features, Outputs int
}

// Open opens a model file or package; the error says what is wrong with it.
func Open(path string) (*Model, error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var message [512]C.char
	handle := C.phx_model_open(cpath, &message[0], C.size_t(len(message)))
	if handle == nil {
		return nil, errors.New(C.GoString(&message[0]))
	}
	return &Model{
		handle:   handle,
		Features: int(C.phx_model_features(handle)),
		Outputs:  int(C.phx_model_outputs(handle)),
	}, nil
}

// Close frees the model; nobody may be inside Predict.
func (m *Model) Close() {
	C.phx_model_close(m.handle)
	m.handle = nil
}

// Predict scores rows that lie one after the other; NaN is missing. It returns rows x Outputs.
func (m *Model) Predict(rows []float32) ([]float32, error) {
	if m.Features == 0 || len(rows)%m.Features != 0 {
		return nil, fmt.Errorf("expected rows of %d features, got %d numbers", m.Features, len(rows))
	}
	n := len(rows) / m.Features
	if n == 0 {
		return nil, nil
	}
	out := make([]float32, n*m.Outputs)
	code := C.phx_model_predict_f32(m.handle, (*C.float)(&rows[0]), C.size_t(n),
		C.size_t(m.Features), (*C.float)(&out[0]), 0)
	if code != 0 {
		return nil, errors.New(C.GoString(C.phx_error_text(code)))
	}
	return out, nil
}
