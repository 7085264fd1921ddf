//! Writing and reading the Parquet files of a table.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{Date32Type, Schema, SchemaRef};
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};

use super::durable::DurableDisk;
use super::encoding::{Effort, writer_properties};
use super::snapshot::LakeFile;
use super::sort;
use super::stats::FileStats;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::model::TableSpec;

/// Rows encoded at once: bounds how far a file can pass its target size.
const WRITE_ROWS: usize = 16_384;

/// Rows decoded at once.
const READ_ROWS: usize = 8_192;

/// The folder of a table and what its files have in common.
#[derive(Debug, Clone)]
pub(crate) struct TableFolder {
    pub(crate) root: PathBuf,
    pub(crate) spec: &'static TableSpec,
    pub(crate) disk: Arc<DurableDisk>,
    /// Size at which a file is closed and the next begun.
    pub(crate) target_file_bytes: u64,
}

/// A file that is on the disk, but in no commit yet.
#[derive(Debug, Clone)]
pub(crate) struct WrittenFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) date: NaiveDate,
    pub(crate) organizations: Option<(String, String)>,
    pub(crate) event_times: Option<(i64, i64)>,
    pub(crate) stats: String,
}

impl TableFolder {
    /// The table's columns without the partition column: by Delta's rule the
    /// files do not hold it.
    pub(crate) fn file_schema(&self) -> SchemaRef {
        let schema = (self.spec.schema)();
        let fields = schema.fields().iter().filter(|f| f.name() != self.spec.partition_column);
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    }

    /// The folder of one date, relative to the root.
    pub(crate) fn partition(&self, date: NaiveDate) -> String {
        format!("{}={date}", self.spec.partition_column)
    }

    /// Writes `batches` as sorted files, apart by date, named
    /// `<partition>/<name>-<n>.parquet`. Every file and directory is synced.
    pub(crate) fn write(
        &self,
        batches: &[RecordBatch],
        name: &str,
        effort: Effort,
    ) -> Result<Vec<WrittenFile>> {
        let schema = (self.spec.schema)();
        let mut columns = vec![self.spec.partition_column];
        columns.extend(self.spec.sort_columns);
        let rows = sort::sort(&schema, batches, &columns)?;
        let mut files = Vec::new();
        for (date, rows) in split_by_date(&rows, self.spec.partition_column)? {
            files.extend(self.write_sorted(date, std::iter::once(Ok(rows)), name, effort)?);
        }
        Ok(files)
    }

    /// Writes rows of one date that are already in the table's sort order.
    pub(crate) fn write_sorted(
        &self,
        date: NaiveDate,
        batches: impl Iterator<Item = Result<RecordBatch>>,
        name: &str,
        effort: Effort,
    ) -> Result<Vec<WrittenFile>> {
        self.disk.check()?;
        let folder = self.root.join(self.partition(date));
        self.disk
            .create_directory(&self.root, &folder)
            .context(ErrorKind::Unavailable, format!("cannot create {}", folder.display()))?;
        let mut files = Vec::new();
        let mut open: Option<OpenFile> = None;
        for batch in batches {
            let batch = batch?;
            for start in (0..batch.num_rows()).step_by(WRITE_ROWS) {
                let rows = batch.slice(start, WRITE_ROWS.min(batch.num_rows() - start));
                let mut file = match open.take() {
                    Some(file) => file,
                    None => {
                        OpenFile::create(self, date, format!("{name}-{}", files.len()), effort)?
                    }
                };
                file.write(&rows)?;
                if file.bytes() >= self.target_file_bytes {
                    files.push(file.publish(self)?);
                } else {
                    open = Some(file);
                }
            }
        }
        if let Some(file) = open {
            files.push(file.publish(self)?);
        }
        Ok(files)
    }

    /// Reads `file` batch by batch in the table's columns, or in those of
    /// `columns`, always in the order of the table's schema.
    pub(crate) fn read(&self, file: &LakeFile, columns: Option<&[&str]>) -> Result<FileBatches> {
        let schema = (self.spec.schema)();
        let wanted = |name: &str| columns.is_none_or(|columns| columns.contains(&name));
        if let Some(unknown) =
            columns.unwrap_or_default().iter().find(|c| schema.index_of(c).is_err())
        {
            let message = format!("{} has no column {unknown}", self.spec.name);
            return Err(Error::invalid(message));
        }
        let fields = schema.fields().iter().filter(|field| wanted(field.name())).cloned();
        let path = self.root.join(&file.path);
        let doing = || format!("cannot read {}", path.display());
        let data = File::open(&path).context(ErrorKind::Unavailable, doing())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(data).internal(doing())?;
        let indices = builder.schema().fields().iter().enumerate();
        let indices = indices.filter(|(_, field)| wanted(field.name())).map(|(index, _)| index);
        let mask = ProjectionMask::roots(builder.parquet_schema(), indices.collect::<Vec<_>>());
        let reader = builder.with_projection(mask).with_batch_size(READ_ROWS).build();
        Ok(FileBatches {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            partition_column: self.spec.partition_column,
            day: days_since_1970(file.date)?,
            reader: reader.internal(doing())?,
            path,
        })
    }
}

fn days_since_1970(date: NaiveDate) -> Result<i32> {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).internal(format!("{date} is not a usable partition"))
}

/// Slices of `rows`, which are ordered by date, one for each date.
fn split_by_date(rows: &RecordBatch, column: &str) -> Result<Vec<(NaiveDate, RecordBatch)>> {
    let missing = || Error::internal(format!("rows without {column}"));
    let dates = rows.column_by_name(column).ok_or_else(missing)?;
    let days = dates.as_primitive_opt::<Date32Type>().ok_or_else(missing)?;
    if dates.null_count() > 0 {
        return Err(missing());
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for run in days.values().chunk_by(|left, right| left == right) {
        let date = Date32Type::to_naive_date_opt(run[0]).ok_or_else(missing)?;
        parts.push((date, rows.slice(start, run.len())));
        start += run.len();
    }
    Ok(parts)
}

/// A file that is being written under a name no reader lists.
struct OpenFile {
    writer: ArrowWriter<File>,
    stats: FileStats,
    schema: SchemaRef,
    path: String,
    temporary: PathBuf,
    date: NaiveDate,
}

impl OpenFile {
    fn create(table: &TableFolder, date: NaiveDate, name: String, effort: Effort) -> Result<Self> {
        let path = format!("{}/{name}.parquet", table.partition(date));
        let temporary = table.root.join(format!("{path}.new"));
        let doing = format!("cannot write {}", temporary.display());
        let file = File::create(&temporary).context(ErrorKind::Unavailable, &doing)?;
        let schema = table.file_schema();
        let properties = writer_properties(table.spec, effort);
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
        let stats = FileStats::new(&schema);
        Ok(Self { writer: writer.internal(doing)?, stats, schema, path, temporary, date })
    }

    fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.stats.add(rows);
        let names =
            self.schema.fields().iter().map(|field| rows.column_by_name(field.name()).cloned());
        let columns: Option<Vec<ArrayRef>> = names.collect();
        let columns =
            columns.ok_or_else(|| Error::internal("rows lack a column of their table"))?;
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let rows = rows.internal("rows do not fit their table's schema")?;
        self.writer
            .write(&rows)
            .context(ErrorKind::Unavailable, format!("cannot write {}", self.temporary.display()))
    }

    fn publish(self, table: &TableFolder) -> Result<WrittenFile> {
        let doing = format!("cannot write {}", self.temporary.display());
        let file = self.writer.into_inner().context(ErrorKind::Unavailable, &doing)?;
        let bytes = file.metadata().context(ErrorKind::Unavailable, &doing)?.len();
        table.disk.publish(&file, &self.temporary, &table.root.join(&self.path))?;
        Ok(WrittenFile {
            path: self.path,
            bytes,
            rows: self.stats.rows(),
            date: self.date,
            organizations: self.stats.organizations(),
            event_times: self.stats.event_times(),
            stats: self.stats.to_json(),
        })
    }
}

/// The rows of one file, batch by batch, with the partition column put back.
#[derive(Debug)]
pub struct FileBatches {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    partition_column: &'static str,
    day: i32,
    path: PathBuf,
}

impl FileBatches {
    /// The columns of each batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn complete(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let columns = self.schema.fields().iter().map(|field| {
            if field.name() == self.partition_column {
                let day: ArrayRef = Arc::new(Date32Array::from_value(self.day, rows));
                return Ok(day);
            }
            let column = batch.column_by_name(field.name()).ok_or_else(|| {
                Error::internal(format!("{} has no column {}", self.path.display(), field.name()))
            })?;
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast(column, field.data_type()).internal("a column has another type than its table's")
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .internal(format!("{} does not fit its table's schema", self.path.display()))
    }
}

impl Iterator for FileBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        let batch = batch.internal(format!("cannot read {}", self.path.display()));
        Some(batch.and_then(|batch| self.complete(&batch)))
    }
}
