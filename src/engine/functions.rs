//! Functions whose few arguments can ask for gigabytes: they allocate outside
//! the memory pool, some of them while the statement is still being planned,
//! so their results are measured before they are made. And functions that tell
//! where rows are stored, or cannot be stopped: they are taken away.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// Most bytes that one call of a growing function may make.
const RESULT_BYTES_MAX: u64 = 32 << 20;

/// Most bytes that one call of a joining function may take, for all rows of a
/// batch.
const JOINED_BYTES_MAX: u64 = 16 << 20;
/// The same of constants: tools list PostgreSQL's words in four kilobytes.
const JOINED_CONSTANTS_BYTES_MAX: u64 = 8 << 10;

/// A constant is copied for each row of a batch.
const ROWS_OF_CONSTANT: usize = 8192;

/// What one step of the count (the second argument) adds to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    /// A copy of the first argument.
    FirstArgument,
    /// At most this many bytes.
    Bytes(u64),
    /// A copy of the third argument, or of a value of at most 16 bytes.
    ThirdArgument,
    /// There is no count: each byte of the first argument may become the third
    /// one.
    Replacement,
}

const GROWING: [(&str, Unit); 7] = [
    ("repeat", Unit::FirstArgument),
    ("array_repeat", Unit::FirstArgument),
    ("lpad", Unit::Bytes(4)),
    ("rpad", Unit::Bytes(4)),
    ("array_resize", Unit::ThirdArgument),
    ("replace", Unit::Replacement),
    ("regexp_replace", Unit::Replacement),
];

/// Whether calls of `name` are counted.
pub(super) fn is_growing(name: &str) -> bool {
    GROWING.iter().any(|(growing, _)| *growing == name)
}

/// Functions that put their arguments together: each call doubles at most what
/// it is given, but calls may stand in one another.
const JOINING: [&str; 12] = [
    "concat",
    "concat_ws",
    "make_array",
    "array_concat",
    "array_append",
    "array_prepend",
    "array_to_string",
    "struct",
    "named_struct",
    "map",
    "overlay",
    "encode",
];

/// The bounded form of a function that joins its arguments; `None` for others,
/// and for what is bounded already.
pub(super) fn joined(function: &Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let is_bounded = function.inner().is::<Bounded>();
    if is_bounded || !JOINING.contains(&function.name()) {
        return None;
    }
    let (inner, unit) = (Arc::clone(function), None);
    Some(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, unit })))
}

/// Its time is the product of the lengths of two texts, in one step that
/// nothing can stop.
const ENDLESS: [&str; 1] = ["levenshtein"];

/// `generate_series` and `range` as lists; in FROM they stream, and stay.
const LISTS: [&str; 2] = ["generate_series", "range"];

/// They tell the file of a row, and where it stands among rows of others.
const STORAGE: [&str; 2] = ["input_file_name", "file_row_index"];

/// `state` with growing functions bounded, and list generators and what tells
/// of files taken away.
pub(super) fn bounded(mut state: SessionState) -> Result<SessionState> {
    for name in LISTS.into_iter().chain(STORAGE).chain(ENDLESS) {
        state.deregister_udf(name)?;
    }
    for (name, unit) in GROWING {
        let (inner, unit) = (state.udf(name)?, Some(unit));
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, unit })))?;
    }
    Ok(state)
}

/// A function that refuses to make more than [`RESULT_BYTES_MAX`] at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    /// `None` where all arguments stand in the result.
    unit: Option<Unit>,
}

impl Bounded {
    fn check(&self, arguments: &ScalarFunctionArgs) -> Result<()> {
        let Some(unit) = self.unit else {
            return check_joined(self.inner.name(), arguments);
        };
        let [first, second, ..] = arguments.args.as_slice() else { return Ok(()) };
        let third = arguments.args.get(2);
        let constant = arguments.args.iter().all(|one| matches!(one, ColumnarValue::Scalar(_)));
        let rows = if constant { ROWS_OF_CONSTANT } else { arguments.number_rows.max(1) };
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let bytes = match unit {
            Unit::Bytes(bytes) => bytes.saturating_mul(largest_count(second)?),
            Unit::FirstArgument => bytes_of_one(first)?.saturating_mul(largest_count(second)?),
            Unit::ThirdArgument => {
                let third = third.map(bytes_of_one).transpose()?.unwrap_or(0);
                third.max(16).saturating_mul(largest_count(second)?)
            }
            Unit::Replacement => {
                let third = third.map(longest).transpose()?.unwrap_or(0);
                bytes_of_one(first)?.saturating_mul(third.max(1))
            }
        };
        if bytes.saturating_mul(rows) > RESULT_BYTES_MAX {
            return Err(DataFusionError::Execution(format!(
                "{}: {bytes} bytes for each of {rows} rows are more than {RESULT_BYTES_MAX} bytes \
                 at once; ask for less",
                self.inner.name()
            )));
        }
        Ok(())
    }
}

/// Refuses to join more than is in memory for a batch of rows.
fn check_joined(name: &str, arguments: &ScalarFunctionArgs) -> Result<()> {
    let constant = arguments.args.iter().all(|one| matches!(one, ColumnarValue::Scalar(_)));
    let (rows, most) = match constant {
        true => (1, JOINED_CONSTANTS_BYTES_MAX),
        false => (arguments.number_rows.max(1), JOINED_BYTES_MAX),
    };
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    let mut bytes = 0_u64;
    for argument in &arguments.args {
        bytes = bytes.saturating_add(match argument {
            ColumnarValue::Scalar(_) => bytes_of_one(argument)?.saturating_mul(rows),
            ColumnarValue::Array(values) => bytes_of_all(values)?,
        });
    }
    if bytes <= most {
        return Ok(());
    }
    Err(DataFusionError::Execution(format!(
        "{name}: {bytes} bytes in {rows} rows are joined at once; {most} are the most"
    )))
}

/// Texts count by their length: views share what they point into, also with rows
/// that are not here.
fn bytes_of_all(values: &ArrayRef) -> Result<u64> {
    Ok(values.to_data().get_slice_memory_size()? as u64 + bytes_of_views(values))
}

/// What the views among `values` and within them point to. That of a NULL may
/// point anywhere.
fn bytes_of_views(values: &ArrayRef) -> u64 {
    let within = |values: &ArrayRef, start: usize, end: usize| {
        bytes_of_views(&values.slice(start, end - start))
    };
    let of_fields = |row: &StructArray| row.columns().iter().map(bytes_of_views).sum();
    if let Some(texts) = values.as_string_view_opt() {
        texts.iter().flatten().map(|text| text.len() as u64).sum()
    } else if let Some(bytes) = values.as_binary_view_opt() {
        bytes.iter().flatten().map(|bytes| bytes.len() as u64).sum()
    } else if let Some(lists) = values.as_list_opt::<i32>() {
        let offsets = lists.offsets();
        within(lists.values(), offsets[0] as usize, offsets[lists.len()] as usize)
    } else if let Some(lists) = values.as_list_opt::<i64>() {
        let offsets = lists.offsets();
        within(lists.values(), offsets[0] as usize, offsets[lists.len()] as usize)
    } else if let Some(lists) = values.as_fixed_size_list_opt() {
        bytes_of_views(lists.values())
    } else if let Some(maps) = values.as_map_opt() {
        of_fields(maps.entries())
    } else if let Some(row) = values.as_struct_opt() {
        of_fields(row)
    } else {
        0
    }
}

fn largest_count(counts: &ColumnarValue) -> Result<u64> {
    let counts = cast(&counts.to_array(1)?, &DataType::Int64)?;
    Ok(max(counts.as_primitive::<Int64Type>()).unwrap_or(0).max(0).unsigned_abs())
}

/// Bytes of the longest text.
fn longest(texts: &ColumnarValue) -> Result<u64> {
    largest_count(&ColumnarValue::Array(length(&texts.to_array(1)?)?))
}

/// Bytes of one value, on average.
fn bytes_of_one(values: &ColumnarValue) -> Result<u64> {
    if let ColumnarValue::Scalar(value) = values
        && let Some(Some(text)) = value.try_as_str()
    {
        return Ok(text.len() as u64);
    }
    let values = values.to_array(1)?;
    Ok(bytes_of_all(&values)?.div_ceil(values.len().max(1) as u64))
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&arguments)?;
        self.inner.invoke_with_args(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// `||`, as a function that is bounded.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concatenation {
    signature: Signature,
}

impl Concatenation {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &'static str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = arguments else { return plan_err!("|| takes two values") };
        let (left, right) =
            BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [left, right] = arguments else { return plan_err!("|| takes two values") };
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check_joined(self.name(), &arguments)?;
        let constant = arguments.args.iter().all(|one| matches!(one, ColumnarValue::Scalar(_)));
        let values = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [left, right] = values.as_slice() else { return plan_err!("|| takes two values") };
        let joined = concat_elements_dyn(left, right)?;
        if constant {
            return ScalarValue::try_from_array(&joined, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(joined))
    }
}
