//! Tables in Markdown.

/// Prints the heading of a figure and its explanation.
pub fn heading(title: &str, explanation: &str) {
    println!("\n## {title}\n\n{explanation}\n");
}

/// Prints a table's first two lines.
pub fn columns(names: &[&str]) {
    row(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    println!("|{}", "---|".repeat(names.len()));
}

/// Prints one row of a table.
pub fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Renders bytes in MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

/// Renders bytes in KiB.
pub fn kib(bytes: f64) -> String {
    format!("{:.1} KiB", bytes / 1024.0)
}
