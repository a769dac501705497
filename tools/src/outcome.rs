//! How a command's end is told to whoever asked for it: its output, and after that how it ended where that is not success.

use common_ground::{
    port::tool::ToolError,
    record::{Exit, Limit},
};

use crate::hand::Work;

/// Notes the end of a command and gives what its caller reads.
pub(crate) fn told(tool: &str, work: &Work, mut output: Vec<u8>, exit: Exit) -> Result<Vec<u8>, ToolError> {
    let note = match exit {
        Exit::Done => return Ok(output),
        Exit::Code { code } => format!("[exit code {code}]"),
        Exit::Signal { signal } => format!("[ended by signal {signal}]"),
        Exit::Limit { limit } => {
            work.passed(limit);
            let output = String::from_utf8_lossy(&output);
            let reason =
                format!("it passed its limit of {} and was ended; until then it put out:\n{output}", name(limit));
            return Err(ToolError::Failed { tool: tool.to_owned(), reason });
        }
        Exit::Failed | Exit::Refused | Exit::Unasked | Exit::Trapped | Exit::Cancelled => {
            work.ended(exit);
            let reason = format!("{exit:?}: {}", String::from_utf8_lossy(&output));
            return Err(ToolError::Failed { tool: tool.to_owned(), reason });
        }
    };
    work.ended(exit);
    if !output.is_empty() && !output.ends_with(b"\n") {
        output.push(b'\n');
    }
    output.extend_from_slice(note.as_bytes());
    Ok(output)
}

fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::Cpu => "processor time",
        Limit::Wall => "time",
        Limit::Memory => "memory",
        Limit::Output => "output",
        Limit::Written => "what may be written",
        Limit::Net => "network traffic",
        Limit::OpenFiles => "open files",
        Limit::Processes => "processes",
    }
}
