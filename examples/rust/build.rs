// SPDX-License-Identifier: Apache-2.0
//! Asks pkg-config where libphoenix is, so that no crate is needed for it.
use std::process::Command;

fn main() {
    let output = Command::new("pkg-config")
        .args(["--libs", "phoenix"])
        .output()
        .expect("pkg-config was not found");
    assert!(
        output.status.success(),
        "pkg-config does not know phoenix; set PKG_CONFIG_PATH to the folder of phoenix.pc\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        }
    }
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
}
