//! Files and directories that only their owner can use.
//!
//! The data directory contains credentials and the texts of conversations. Other users of the machine must neither read
//! it nor prepare it: they could have left open files or links in it before the first start.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::{geteuid, umask};

/// The access of others than the owner.
const OTHERS: u32 = 0o077;
/// The mark of a directory that all users share, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Lets this process create only files and directories that no other user can use, whatever its umask was. The storage
/// engine creates most of them and has no option for their mode.
pub(crate) fn restrict_umask() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Creates a directory that only its owner can use, if it does not exist. Checks one that exists. An empty directory of
/// the owner is closed to the others.
///
/// # Errors
/// A directory that belongs to another user or that others can use is refused. The error says how to correct that.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let link = fs::symlink_metadata(dir)?;
    if link.is_symlink() {
        check_owner(dir, &link)?;
    }
    let metadata = fs::metadata(dir)?;
    check_owner(dir, &metadata)?;
    let mode = metadata.mode();
    if mode & OTHERS != 0 && mode & STICKY == 0 && is_empty(dir)? {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        if is_empty(dir)? {
            return Ok(());
        }
        // Another user has put something into it in the meantime.
        fs::set_permissions(dir, Permissions::from_mode(mode))?;
    }
    check_mode(dir, &metadata, "700")
}

/// Reads a file that only its owner can use. Returns `None` if it does not exist.
///
/// # Errors
/// As [`make_private_dir`]. A symbolic link is refused too.
pub(crate) fn read_private(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = match OpenOptions::new().read(true).custom_flags(no_follow()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => return Err(refused(format!("{} is a symbolic link", path.display()))),
        result => result?,
    };
    let metadata = file.metadata()?;
    check_owner(path, &metadata)?;
    check_mode(path, &metadata, "600")?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file that only its owner can use, completely or not at all: a draft is written and synced, and then
/// renamed.
///
/// # Errors
/// The error of the file system.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new file is never one that somebody else has opened, nor the target of a link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    sync_parent(path)
}

/// Opens a file without reading it, and creates it if it does not exist.
///
/// # Errors
/// The error of the file system. A symbolic link is an error.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow()).open(path)
}

/// Makes the creations and renames in the directory of a file durable.
///
/// # Errors
/// The error of the file system.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The flag `O_NOFOLLOW`.
fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

fn check_owner(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    Err(refused(format!(
        "{} belongs to user {owner}, and this process runs as user {user}; use a directory of user {user}, or change \
         the owner with chown",
        path.display()
    )))
}

fn check_mode(path: &Path, metadata: &Metadata, wanted: &str) -> io::Result<()> {
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(refused(format!(
        "other users have access to {path} (mode {mode:o}); if they have changed nothing in it, run: chmod {wanted} {path}"
    )))
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_directory_and_its_new_parents_are_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        make_private_dir(&data).unwrap();
        assert_eq!((mode(&dir.path().join("a")), mode(&data)), (0o700, 0o700));
        make_private_dir(&data).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_use_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for open in [0o701, 0o702, 0o704, 0o710, 0o720, 0o740, 0o755, 0o1777, 0o2770] {
            set_mode(dir.path(), open);
            let error = make_private_dir(dir.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {open:o}")) && error.contains("chmod 700 /"), "{error}");
            assert_eq!(mode(dir.path()), open);
        }
        for closed in [0o700, 0o500, 0o1700] {
            set_mode(dir.path(), closed);
            make_private_dir(dir.path()).unwrap();
        }
    }

    #[test]
    fn an_empty_directory_is_closed_unless_all_users_share_it() {
        let dir = tempfile::tempdir().unwrap();
        for open in [0o755, 0o750, 0o711, 0o775, 0o777, 0o702] {
            set_mode(dir.path(), open);
            make_private_dir(dir.path()).unwrap();
            assert_eq!(mode(dir.path()), 0o700);
        }
        set_mode(dir.path(), 0o1777);
        assert!(make_private_dir(dir.path()).is_err());
        assert_eq!(mode(dir.path()), 0o1777);
    }

    #[test]
    fn a_link_to_a_directory_counts_by_both_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        make_private_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        make_private_dir(&link).unwrap();
        set_mode(&target, 0o1777);
        assert!(make_private_dir(&link).is_err());
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !geteuid().is_root() {
            // Only root can give a file away, but everybody has files of root.
            for error in
                [make_private_dir(Path::new("/usr")).unwrap_err(), read_private(Path::new("/etc/passwd")).unwrap_err()]
            {
                assert!(error.to_string().contains("belongs to user 0"), "{error}");
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (data, file, link) = (dir.path().join("data"), dir.path().join("file"), dir.path().join("link"));
        make_private_dir(&data).unwrap();
        write_private(&file, b"x").unwrap();
        symlink(&data, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
        let errors = [make_private_dir(&link).unwrap_err(), {
            chown(&data, Some(12345), None).unwrap();
            chown(&file, Some(12345), None).unwrap();
            make_private_dir(&data).unwrap_err()
        }];
        for error in errors.into_iter().chain([read_private(&file).unwrap_err()]) {
            assert!(error.to_string().contains("belongs to user 12345"), "{error}");
        }
    }

    #[test]
    fn a_file_is_written_for_the_owner_alone_over_whatever_a_start_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("file.json"), dir.path().join("other"));
        fs::write(&other, "untouched").unwrap();
        symlink(&other, dir.path().join("file.new")).unwrap();
        write_private(&file, b"secret").unwrap();
        assert_eq!((mode(&file), read_private(&file).unwrap().unwrap()), (0o600, b"secret".to_vec()));
        assert_eq!(fs::read(&other).unwrap(), b"untouched");
        assert!(!fs::symlink_metadata(&file).unwrap().is_symlink());
    }

    #[test]
    fn an_open_file_or_a_link_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        assert!(read_private(&file).unwrap().is_none());
        write_private(&file, b"x").unwrap();
        symlink(&file, &link).unwrap();
        assert!(read_private(&link).unwrap_err().to_string().contains("is a symbolic link"));
        assert!(open_private(&link).is_err());
        set_mode(&file, 0o640);
        assert!(read_private(&file).unwrap_err().to_string().contains("chmod 600 /"));
    }
}
