//! Files that are read by the thread which needs their rows. What is asked for
//! is mostly in the system's page cache, and copying it from there takes less
//! time than handing the read to another thread and back (decision 0035).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use object_store::local::LocalFileSystem;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// Among the extensions of a session's settings: its threads may wait for the
/// disk, since nobody but its statements needs them.
#[derive(Debug)]
pub(super) struct ReadsInPlace;

/// Readers of local files; what they tell of themselves comes from the cache.
#[derive(Debug)]
pub(super) struct InPlaceReaderFactory {
    about: CachedParquetFileReaderFactory,
}

impl InPlaceReaderFactory {
    pub(super) fn new(about: CachedParquetFileReaderFactory) -> Self {
        Self { about }
    }
}

impl ParquetFileReaderFactory for InPlaceReaderFactory {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let location = &file.object_meta.location;
        let path = LocalFileSystem::new().path_to_filesystem(location)?;
        let bytes_scanned = MetricBuilder::new(metrics)
            .with_new_label("filename", location.to_string())
            .counter("bytes_scanned", partition);
        let about = self.about.create_reader(partition, file, metadata_size_hint, metrics)?;
        Ok(Box::new(InPlaceReader { about, path, file: None, bytes_scanned }))
    }
}

struct InPlaceReader {
    /// Reads footers and page indexes.
    about: Box<dyn AsyncFileReader + Send>,
    path: PathBuf,
    /// Open from the first read on.
    file: Option<File>,
    bytes_scanned: Count,
}

impl InPlaceReader {
    fn read(&mut self, range: &Range<u64>) -> io::Result<Bytes> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        file.seek(SeekFrom::Start(range.start))?;
        let wanted = range.end.saturating_sub(range.start);
        let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        file.take(wanted).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes_scanned.add(bytes.len());
        Ok(bytes.into())
    }
}

impl AsyncFileReader for InPlaceReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        ready(self.read(&range).map_err(broken)).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let read = ranges.iter().map(|range| self.read(range)).collect::<io::Result<_>>();
        ready(read.map_err(broken)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.about.get_metadata(options)
    }
}

fn broken(error: io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
