// SPDX-License-Identifier: Apache-2.0
//! Tree models scored by libphoenix, as a safe type.
use std::ffi::{c_char, c_int, c_uint, CStr, CString};

#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

extern "C" {
    fn phx_model_open(path: *const c_char, err: *mut c_char, err_cap: usize) -> *mut Handle;
    fn phx_model_close(model: *mut Handle);
    fn phx_model_features(model: *const Handle) -> usize;
    fn phx_model_outputs(model: *const Handle) -> usize;
    fn phx_model_predict_f32(
        model: *const Handle,
        rows: *const f32,
        n_rows: usize,
        stride: usize,
        out: *mut f32,
        flags: c_uint,
    ) -> c_int;
    fn phx_error_text(code: c_int) -> *const c_char;
}

/// A model in memory; freed when dropped.
pub struct Model {
    handle: *mut Handle,
}

// Any number of threads may use one model at once (phoenix.h, "Threads").
unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Model {
    /// Opens a model file or package; the error says what is wrong with it.
    pub fn open(path: &str) -> Result<Model, String> {
        let path = CString::new(path).map_err(|_| "a path must not hold a NUL".to_string())?;
        let mut err = [0 as c_char; 512];
        let handle = unsafe { phx_model_open(path.as_ptr(), err.as_mut_ptr(), err.len()) };
        if handle.is_null() {
            return Err(text(err.as_ptr()));
        }
        Ok(Model { handle })
    }

    pub fn features(&self) -> usize {
        unsafe { phx_model_features(self.handle) }
    }

    pub fn outputs(&self) -> usize {
        unsafe { phx_model_outputs(self.handle) }
    }

    /// Scores rows that lie one after the other; NaN is missing. Returns rows x outputs.
    pub fn predict(&self, rows: &[f32]) -> Result<Vec<f32>, String> {
        let width = self.features();
        if width == 0 || rows.len() % width != 0 {
            return Err(format!("expected rows of {width} features, got {} numbers", rows.len()));
        }
        let n_rows = rows.len() / width;
        let mut out = vec![0.0; n_rows * self.outputs()];
        let code = unsafe {
            phx_model_predict_f32(self.handle, rows.as_ptr(), n_rows, width, out.as_mut_ptr(), 0)
        };
        match code {
            0 => Ok(out),
            _ => Err(text(unsafe { phx_error_text(code) })),
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe { phx_model_close(self.handle) }
    }
}

fn text(chars: *const c_char) -> String {
    unsafe { CStr::from_ptr(chars) }.to_string_lossy().into_owned()
}
