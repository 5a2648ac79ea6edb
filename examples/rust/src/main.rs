// SPDX-License-Identifier: Apache-2.0
//! Scores four payments: scores MODEL
mod phoenix;

// amount, hour, account_days; NAN is missing
const ROWS: [[f32; 3]; 4] = [
    [25.0, 14.0, 800.0],
    [250.0, 3.0, 12.0],
    [f32::NAN, 23.0, 400.0],
    [90.5, 9.0, f32::NAN],
];

fn run() -> Result<(), String> {
    let path = std::env::args().nth(1).ok_or("expected the path of a model")?;
    let model = phoenix::Model::open(&path)?;
    for score in model.predict(&ROWS.concat())? {
        println!("{score:.9}");
    }
    Ok(())
}

fn main() {
    if let Err(message) = run() {
        eprintln!("scores: {message}");
        std::process::exit(1);
    }
}
