//! What is known to be untidy. These lists may only shrink: what is not needed any more fails, too.

/// While files are moved, what is not needed any more is only printed.
pub(crate) const MOVING: bool = true;

/// Files that need each other.
pub(crate) const CIRCLES_OF_FILES: &[&str] = &[];

/// Parts of a room that need each other.
pub(crate) const CIRCLES_OF_FOLDERS: &[&str] = &[];

/// Folders with too many files.
pub(crate) const FULL_FOLDERS: &[&str] = &["src/cli", "src/meta"];

/// Folders of many modules without a table.
pub(crate) const UNDESCRIBED: &[&str] = &[];

/// Test modules with another name or place.
pub(crate) const OTHER_TEST_NAMES: &[&str] = &["for_tests", "rm_tests", "slow_tests", "tests"];

/// Names of types that several rooms use.
pub(crate) const SHARED_NAMES: &[&str] = &[
    "Collected",
    "Collector",
    "Command",
    "Connection",
    "Count",
    "Counted",
    "Entry",
    "Envelope",
    "Failure",
    "Found",
    "Held",
    "Look",
    "Names",
    "Node",
    "OpenError",
    "Opened",
    "Pace",
    "Place",
    "Progress",
    "Reach",
    "Reached",
    "Refusal",
    "Removal",
    "Removing",
    "Rows",
    "Scrub",
    "Server",
    "Shared",
    "Sink",
    "Source",
    "State",
    "Store",
    "Survey",
    "Target",
    "Totals",
    "Turn",
    "Upkeep",
    "Usage",
    "Version",
    "Waiting",
    "Watch",
    "Watched",
];

/// Functions that are too long.
pub(crate) const LONG_FUNCTIONS: &[&str] = &["carry_out", "histories", "manifests", "open"];

/// How many words a place has that readers must translate.
pub(crate) const OTHER_WORDS: &[(&str, usize)] = &[
    ("README.md", 3),
    ("admin", 26),
    ("base", 1),
    ("blobs", 17),
    ("cli", 22),
    ("config", 1),
    ("control", 10),
    ("crash_tests", 19),
    ("disk", 20),
    ("http", 15),
    ("meta", 120),
    ("registry", 127),
    ("server", 10),
    ("spec", 4),
    ("tests", 40),
    ("wire", 1),
];
