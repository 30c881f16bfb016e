//! Lets the finished binary find DuckDB's library beside itself, in cargo's folder, or in `lib` of its prefix.

fn main() {
    if std::env::var("CARGO_CFG_UNIX").is_ok() {
        let origin =
            if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("macos") { "@loader_path" } else { "$ORIGIN" };
        for place in ["", "/deps", "/../lib"] {
            println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{origin}{place}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
}
