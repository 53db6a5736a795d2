//! The wall-clock time in front of each line, so that lines can be compared with other logs.

use std::time::Duration;

use jiff::ZonedDateTime;
use jiff::civil::Time;

use crate::report::{print, style};

/// Columns of a time and the gap behind it: continued lines are indented by as many.
const TIME_COLUMNS: usize = 10;

/// Gives the time of day at so long after the start of the run.
pub type Clock = fn(Duration) -> Time;

/// The local time of this machine, which an adjustment or a suspension may have moved on since the run started.
pub fn local_time(_after: Duration) -> Time {
    ZonedDateTime::now().time()
}

/// A line with the time in front (`03:15:42  text`) and its line break, wrapped at so many columns.
pub fn line(time: Time, text: &str, columns: Option<usize>) -> String {
    let time = style::quiet(&time.strftime("%H:%M:%S").to_string());
    print::wrap(&format!("{time}  {text}"), columns, TIME_COLUMNS) + "\n"
}
