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
use futures::future::BoxFuture;
use object_store::local::LocalFileSystem;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tokio::task::yield_now;

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
        // It would count what it does not read.
        let uncounted = ExecutionPlanMetricsSet::new();
        let about = self.about.create_reader(partition, file, metadata_size_hint, &uncounted)?;
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
    fn read(&mut self, range: &Range<u64>) -> parquet::errors::Result<Bytes> {
        self.try_read(range).map_err(|error| {
            let named = format!("{}: {error}", self.path.display());
            ParquetError::External(Box::new(io::Error::new(error.kind(), named)))
        })
    }

    fn try_read(&mut self, range: &Range<u64>) -> io::Result<Bytes> {
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

// Each lets others on after a read: what drops every row is one long step else,
// in which nothing can be cancelled.
impl AsyncFileReader for InPlaceReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let read = self.read(&range);
            yield_now().await;
            read
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let read = ranges.iter().map(|range| self.read(range)).collect();
            yield_now().await;
            read
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.about.get_metadata(options)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::runtime_env::RuntimeEnv;
    use object_store::path::Path;

    use super::*;

    /// A file of ten bytes in `folder`, and what reads it.
    fn ten_bytes(folder: &std::path::Path) -> (PathBuf, InPlaceReaderFactory, PartitionedFile) {
        let path = folder.join("rows.parquet");
        std::fs::write(&path, b"0123456789").expect("written");
        let cache = RuntimeEnv::default().cache_manager.get_file_metadata_cache();
        let store = Arc::new(LocalFileSystem::new());
        let factory = InPlaceReaderFactory::new(CachedParquetFileReaderFactory::new(store, cache));
        let location = Path::from_absolute_path(&path).expect("a location");
        (path, factory, PartitionedFile::new(location.to_string(), 10))
    }

    #[tokio::test]
    async fn ranges_are_read_whole_or_the_file_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (path, factory, file) = ten_bytes(folder.path());
        let metrics = ExecutionPlanMetricsSet::new();
        let reader = || factory.create_reader(0, file.clone(), None, &metrics).expect("a reader");
        let mut open = reader();
        assert_eq!(open.get_bytes(2..5).await.expect("read"), "234");
        let ranges = open.get_byte_ranges(vec![7..10, 0..1]).await.expect("read");
        assert_eq!(ranges, ["789", "0"]);
        let error = open.get_bytes(8..12).await.expect_err("the file is shorter").to_string();
        assert!(error.contains("rows.parquet"), "{error}");
        let scanned = metrics.clone_inner().sum_by_name("bytes_scanned").expect("counted");
        assert_eq!(scanned.as_usize(), 7);

        std::fs::remove_file(&path).expect("removed");
        let error = reader().get_bytes(0..1).await.expect_err("the file is gone").to_string();
        assert!(error.contains("No such file or directory"), "{error}");
    }

    #[tokio::test]
    async fn others_get_on_between_reads() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (_, factory, file) = ten_bytes(folder.path());
        let metrics = ExecutionPlanMetricsSet::new();
        let mut reader = factory.create_reader(0, file, None, &metrics).expect("a reader");
        assert!(reader.get_bytes(0..4).now_or_never().is_none(), "it never waited");
    }
}
