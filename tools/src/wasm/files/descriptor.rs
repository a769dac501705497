//! Every call on files that WASI 0.2 has: checked, counted, noted, and handed on to WASI's own.

use common_ground::grant::Access;
use wasmtime::component::Resource;
use wasmtime_wasi::{
    filesystem::Descriptor,
    p2::{
        DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator,
        bindings::filesystem::{
            preopens,
            types::{
                Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize, Host,
                HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
            },
        },
    },
};

use super::{Files, folders::Folder, quota::Counted};

type Fd = Resource<Descriptor>;

impl Files<'_> {
    /// The same descriptor once more, since each call takes one.
    fn again(fd: &Fd) -> Fd {
        Resource::new_borrow(fd.rep())
    }

    fn refuse(&self, what: &str, why: &'static str) -> FsError {
        self.refusals.note(what, why);
        ErrorCode::NotPermitted.into()
    }

    /// The folder a path is beneath, where it may be used so.
    fn allowed(&self, fd: &Fd, path: &str, access: Access) -> FsResult<Folder> {
        let folder = self.folders.folder(fd.rep()).ok_or(ErrorCode::NotDirectory)?;
        if folder.allows(path, access) {
            return Ok(folder.clone());
        }
        let (verb, why) = match (&folder.names, access) {
            (Some(_), _) => ("use", "only files that the call names are granted"),
            (None, Access::Read) => ("read", "it is not granted"),
            (None, Access::Write) => ("write", "it is granted to be read"),
        };
        Err(self.refuse(&format!("{verb}:{}", folder.shown(path)), why))
    }

    /// Where single files were granted, a link in the place of one leads to another.
    fn following(folder: &Folder, flags: PathFlags) -> PathFlags {
        if folder.names.is_some() { PathFlags::empty() } else { flags }
    }

    /// Keeps what a file holds before it is changed.
    async fn keep(&mut self, fd: &Fd, folder: &Folder, path: &str) -> FsResult<()> {
        let shown = folder.shown(path);
        if self.folders.changes.knows(&shown) {
            return Ok(());
        }
        let Descriptor::Dir(dir) = self.wasi.table.get(fd)? else { return Err(ErrorCode::NotDirectory.into()) };
        let dir = std::sync::Arc::clone(&dir.dir);
        if self.folders.changes.keep(dir, path.to_owned(), shown.clone()).await? {
            Ok(())
        } else {
            Err(self.refuse(&format!("write:{shown}"), "what it holds is too much to be kept"))
        }
    }

    /// Counts what a write at a place behind a file's end adds to its length.
    fn count_gap(&self, fd: &Fd, end: u64) -> FsResult<()> {
        let Descriptor::File(file) = self.wasi.table.get(fd)? else { return Err(ErrorCode::BadDescriptor.into()) };
        let length = file.file.metadata()?.len();
        self.folders.quota.bytes(end.saturating_sub(length)).map_err(FsError::trap)
    }

    fn counted(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.wasi.table.delete(stream)?;
        let stream: DynOutputStream = Box::new(Counted::new(stream, std::sync::Arc::clone(&self.folders.quota)));
        Ok(self.wasi.table.push(stream)?)
    }
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let mut open = Vec::new();
        for (dir, folder) in self.folders.places() {
            let fd = self.wasi.table.push(Descriptor::Dir(dir))?;
            let path = folder.path.clone();
            self.folders.opened_folder(fd.rep(), folder);
            open.push((fd, path));
        }
        Ok(open)
    }
}

impl Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.filesystem_error_code(error)
    }
}

impl HostDescriptor for Files<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let writes = flags.contains(DescriptorFlags::WRITE) || open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let folder = self.allowed(&fd, &path, if writes { Access::Write } else { Access::Read })?;
        let path_flags = Self::following(&folder, path_flags);
        self.folders.room().map_err(FsError::trap)?;
        match self.wasi.stat_at(Self::again(&fd), path_flags, path.clone()).await.map(|about| about.type_) {
            Ok(DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink) => {}
            // Opening a pipe waits for its other end, in a thread that nobody can end.
            Ok(_other) => return Err(self.refuse(&folder.shown(&path), "it is neither a file nor a folder")),
            Err(error) => match error.downcast_ref() {
                Some(ErrorCode::NoEntry) if open.contains(OpenFlags::CREATE) => {
                    self.folders.quota.file().map_err(FsError::trap)?;
                }
                Some(_) | None => return Err(error),
            },
        }
        if writes {
            self.keep(&fd, &folder, &path).await?;
        }
        let opened = self.wasi.open_at(fd, path_flags, path.clone(), open, flags).await?;
        let handle = match self.wasi.table.get(&opened)? {
            Descriptor::File(file) => std::sync::Arc::clone(&file.file),
            Descriptor::Dir(dir) => {
                let beneath = Folder { path: folder.shown(&path), access: folder.access, names: None };
                self.folders.opened_folder(opened.rep(), beneath);
                std::sync::Arc::clone(&dir.dir)
            }
        };
        self.folders.opened(&handle);
        Ok(opened)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.folders.closed(fd.rep());
        HostDescriptor::drop(&mut self.wasi, fd)
    }

    async fn read(&mut self, fd: Fd, length: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.wasi.read(fd, length, offset).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        self.count_gap(&fd, offset)?;
        self.folders.quota.bytes(bytes.len() as u64).map_err(FsError::trap)?;
        self.wasi.write(fd, bytes, offset).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.wasi.read_via_stream(fd, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.count_gap(&fd, offset)?;
        let stream = self.wasi.write_via_stream(fd, offset)?;
        self.counted(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.wasi.append_via_stream(fd)?;
        self.counted(stream)
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        self.count_gap(&fd, size)?;
        self.wasi.set_size(fd, size).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<ReaddirIterator>> {
        let folder = self.allowed(&fd, ".", Access::Read)?;
        self.folders.room_to_list().map_err(FsError::trap)?;
        drop(folder);
        let listing = self.wasi.read_directory(fd).await?;
        self.folders.listing(listing.rep());
        Ok(listing)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let folder = self.allowed(&fd, &path, Access::Write)?;
        if folder.names.is_some() {
            return Err(self.refuse(&format!("write:{}", folder.shown(&path)), "a file is granted, no folder"));
        }
        self.folders.quota.file().map_err(FsError::trap)?;
        self.wasi.create_directory_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.allowed(&fd, &path, Access::Write)?;
        self.wasi.remove_directory_at(fd, path).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let folder = self.allowed(&fd, &path, Access::Write)?;
        self.keep(&fd, &folder, &path).await?;
        self.wasi.unlink_file_at(fd, path).await
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to: Fd, name: String) -> FsResult<()> {
        let from = self.allowed(&fd, &path, Access::Write)?;
        let into = self.allowed(&to, &name, Access::Write)?;
        let about = self.wasi.stat_at(Self::again(&fd), PathFlags::empty(), path.clone()).await?;
        if about.type_ != DescriptorType::RegularFile {
            // The record names files; with a folder they would all be elsewhere and nobody would know.
            return Err(self.refuse(&format!("write:{}", from.shown(&path)), "only files are renamed"));
        }
        self.keep(&fd, &from, &path).await?;
        self.keep(&to, &into, &name).await?;
        self.wasi.rename_at(fd, path, to, name).await
    }

    async fn link_at(&mut self, fd: Fd, _: PathFlags, path: String, _to: Fd, _name: String) -> FsResult<()> {
        let folder = self.allowed(&fd, &path, Access::Write)?;
        Err(self.refuse(&format!("write:{}", folder.shown(&path)), "components make no links"))
    }

    async fn symlink_at(&mut self, fd: Fd, _target: String, path: String) -> FsResult<()> {
        let folder = self.allowed(&fd, &path, Access::Write)?;
        // It would lead whoever comes later, with more rights, to somewhere else.
        Err(self.refuse(&format!("write:{}", folder.shown(&path)), "components make no links"))
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.allowed(&fd, &path, Access::Read)?;
        self.wasi.readlink_at(fd, path).await
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let folder = self.allowed(&fd, &path, Access::Read)?;
        self.wasi.stat_at(fd, Self::following(&folder, flags), path).await
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let folder = self.allowed(&fd, &path, Access::Read)?;
        self.wasi.metadata_hash_at(fd, Self::following(&folder, flags), path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let folder = self.allowed(&fd, &path, Access::Write)?;
        self.wasi.set_times_at(fd, Self::following(&folder, flags), path, accessed, modified).await
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        if self.folders.folder(fd.rep()).is_some() {
            self.allowed(&fd, ".", Access::Write)?;
        }
        self.wasi.set_times(fd, accessed, modified).await
    }

    async fn advise(&mut self, fd: Fd, offset: Filesize, length: Filesize, advice: Advice) -> FsResult<()> {
        self.wasi.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    async fn is_same_object(&mut self, one: Fd, two: Fd) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(one, two).await
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(&mut self, stream: Resource<ReaddirIterator>) -> FsResult<Option<DirectoryEntry>> {
        self.wasi.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        self.folders.listed(stream.rep());
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}
