package model

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FileID names an uploaded file.
type FileID int64

func (id FileID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText writes the decimal digits.
func (id FileID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText reads the decimal digits.
func (id *FileID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[FileID](string(b))
	return err
}

// What becomes of a file: its row is there before its content, and goes after it, so that whatever
// breaks off in between is found by its row.
const (
	fileUploading = "uploading" // the content is on its way, or never came
	fileReady     = "ready"
	fileRemoving  = "removing" // nobody sees it any more; the content goes first, then the row
)

const (
	// FileOverhead is what a file counts against its owner's quota beside its bytes: rows and blocks.
	FileOverhead = 4 << 10
	// fileRemoval is how long one who has begun to remove a file has for it, before another tries.
	fileRemoval = 10 * time.Minute
)

// File is an uploaded file. What it is does not change.
type File struct {
	ID            FileID
	OwnerID       UserID // who uploaded it
	Name          string // what its owner calls it: for people, never part of a path
	Type          string // media type without parameters
	Size          int64  // bytes
	SHA256        string // hex
	Width, Height int64  // pixels of an image, 0 when they are not known
	CreatedAt     Millis
}

// AddFile notes an upload that begins, which is removed when it is not ready (FinishFile) and named
// by a message (InsertFileRefs) before due. quota bounds the bytes of the owner's files together, each with FileOverhead; 0: no
// bound. Uploads of one owner wait for each other here. CodeQuotaExceeded.
func (s *Store) AddFile(ctx context.Context, f *File, due Millis, quota int64) error {
	return s.Tx(ctx, func(tx *Store) error {
		if quota > 0 {
			if _, err := tx.LockUser(ctx, f.OwnerID); err != nil {
				return err
			}
			var used int64
			if err := tx.read(ctx).Raw("SELECT COALESCE(SUM(size), 0) + COUNT(*) * ? FROM files WHERE owner_id = ?", FileOverhead, f.OwnerID).Row().Scan(&used); err != nil {
				return fmt.Errorf("add up files: %w", err)
			}
			if used+f.Size+FileOverhead > quota {
				return NewError(CodeQuotaExceeded, "your files have %d bytes of %d, and this one has %d", used, quota, f.Size)
			}
		}
		if err := tx.write(ctx).Exec("INSERT INTO files (id, owner_id, name, type, size, state, created_at, due_at) VALUES (?,?,?,?,?,?,?,?)",
			f.ID, f.OwnerID, f.Name, f.Type, f.Size, fileUploading, f.CreatedAt, due).Error; err != nil {
			return fmt.Errorf("insert file: %w", err)
		}
		return nil
	})
}

// FinishFile says that the content of an upload is stored, and what it is. CodeNotFound when the upload took
// so long that it is being removed.
func (s *Store) FinishFile(ctx context.Context, f *File) error {
	return s.Tx(ctx, func(tx *Store) error {
		state, _, err := tx.lockFile(ctx, f.ID)
		if err != nil {
			return err
		}
		if state != fileUploading {
			return NotFound("file")
		}
		if err := tx.write(ctx).Exec("UPDATE files SET state = ?, sha256 = ?, width = ?, height = ? WHERE id = ?", fileReady, f.SHA256, f.Width, f.Height, f.ID).Error; err != nil {
			return fmt.Errorf("finish file: %w", err)
		}
		return nil
	})
}

// lockFile locks a file's row: CodeNotFound.
func (s *Store) lockFile(ctx context.Context, id FileID) (state string, due Millis, err error) {
	err = s.read(ctx).Raw("SELECT state, due_at FROM files WHERE id = ?"+s.forUpdate(), id).Row().Scan(&state, &due)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, NotFound("file")
	}
	if err != nil {
		return "", 0, fmt.Errorf("lock file: %w", err)
	}
	return state, due, nil
}

// VisibleFile is a file that a user may see: their own, one that a message names which they see, somebody's picture, or that of a
// group of theirs. Else CodeNotFound.
func (s *Store) VisibleFile(ctx context.Context, user UserID, id FileID) (*File, error) {
	f := new(File)
	err := s.read(ctx).Raw("SELECT id, owner_id, name, type, size, sha256, width, height, created_at FROM files WHERE id = ? AND state = ?", id, fileReady).Row().
		Scan(&f.ID, &f.OwnerID, &f.Name, &f.Type, &f.Size, &f.SHA256, &f.Width, &f.Height, &f.CreatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, NotFound("file")
	}
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	if f.OwnerID == user {
		return f, nil
	}
	var seen bool // as Member.SeesAfter has it
	err = s.read(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM file_refs r
		JOIN members p ON p.conversation_id = r.conversation_id AND p.user_id = ? AND p.left_seq = 0
		JOIN conversations c ON c.id = r.conversation_id AND c.dissolved_at = 0
		WHERE r.file_id = ? AND (c.history = ? OR r.conversation_seq > p.joined_seq OR r.conversation_seq = 0))
		OR EXISTS (SELECT 1 FROM file_refs r WHERE r.file_id = ? AND r.conversation_id = 0)`, user, id, HistoryAll, id).Row().Scan(&seen)
	if err != nil {
		return nil, fmt.Errorf("look for who sees a file: %w", err)
	}
	if !seen {
		return nil, NotFound("file")
	}
	return f, nil
}

// FileNamed is the file that a message names in its body, 0 when none.
func (m *Message) FileNamed() FileID {
	switch m.Type {
	case TypeImage, TypeFile, TypeAudio, TypeVideo:
	default:
		return 0
	}
	if !strings.Contains(string(m.Body), `"file_id"`) {
		return 0
	}
	var body map[string]json.RawMessage // a struct's fields would be found in any case
	var id FileID
	if json.Unmarshal([]byte(m.Body), &body) != nil || json.Unmarshal(body["file_id"], &id) != nil {
		return 0
	}
	return id
}

// LockFiles keeps the files that messages name from being removed until the transaction ends, and answers the
// messages whose file is not there. It is the first of a transaction's locks. Without files it executes nothing.
func (s *Store) LockFiles(ctx context.Context, list []*Message) (without map[*Message]bool, err error) {
	var ids []FileID
	for _, m := range list {
		if id := m.FileNamed(); id != 0 {
			ids = append(ids, id)
		}
	}
	without = map[*Message]bool{}
	if len(ids) == 0 {
		return without, nil
	}
	slices.Sort(ids)
	there := map[FileID]bool{}
	err = chunks(slices.Compact(ids), s.rows(rowsPerStatement), func(part []FileID) error {
		rows, err := s.read(ctx).Raw("SELECT id FROM files WHERE id IN ? AND state = ? ORDER BY id"+s.forUpdate(), part, fileReady).Rows()
		if err != nil {
			return fmt.Errorf("lock files: %w", err)
		}
		_, err = scanAll(rows, func(r *sql.Rows) (id FileID, err error) {
			err = r.Scan(&id)
			there[id] = true
			return id, err
		})
		return err
	})
	for _, m := range list {
		if id := m.FileNamed(); id != 0 && !there[id] {
			without[m] = true
		}
	}
	return without, err
}

// insertFileRefs notes which messages name files, so that who sees the message sees the file and the file stays. LockFiles has
// locked them, and the messages' places in the order were taken, in this same transaction. Without files it is nothing.
func (s *Store) insertFileRefs(list []*Message) (steps []*step) {
	var naming []*Message
	for _, m := range list {
		if m.FileNamed() != 0 {
			naming = append(naming, m)
		}
	}
	for part := range slices.Chunk(naming, s.rows(rowsPerStatement)) {
		refs := newStep("insert file refs", "INSERT INTO file_refs (file_id, conversation_id, conversation_seq) VALUES ", 48*len(part))
		keep := newStep("keep files", "UPDATE files SET due_at = 0 WHERE due_at <> 0 AND id IN (", 24*len(part))
		files := make([]FileID, len(part))
		for i, m := range part {
			files[i] = m.FileNamed()
			refs.row(int64(files[i]), int64(m.ConversationID), m.ConversationSeq)
		}
		steps = append(steps, refs, numbers(keep, files).add(")"))
	}
	return steps
}

// deleteFileRef forgets that a message names a file. When no other does, the file is to be removed, from now on.
func (s *Store) deleteFileRef(ctx context.Context, m *Message, now Millis) error {
	id := m.FileNamed()
	if id == 0 {
		return nil
	}
	return s.letFileGo(ctx, id, m.ConversationID, m.ConversationSeq, now)
}

// letFileGo forgets one row of file_refs. When no other names the file, it is to be removed, from now on.
func (s *Store) letFileGo(ctx context.Context, id FileID, in ConversationID, seq int64, now Millis) error {
	if _, _, err := s.lockFile(ctx, id); err != nil {
		if CodeOf(err) == CodeNotFound {
			return nil
		}
		return err
	}
	if err := s.write(ctx).Exec("DELETE FROM file_refs WHERE file_id = ? AND conversation_id = ? AND conversation_seq = ?", id, in, seq).Error; err != nil {
		return fmt.Errorf("delete file ref: %w", err)
	}
	if err := s.write(ctx).Exec("UPDATE files SET due_at = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM file_refs r WHERE r.file_id = files.id)", now, id).Error; err != nil {
		return fmt.Errorf("let go of file: %w", err)
	}
	return nil
}

// DueFiles are the files that are to be removed by now, the longest due first, at most limit.
func (s *Store) DueFiles(ctx context.Context, now Millis, limit int) ([]FileID, error) {
	rows, err := s.read(ctx).Raw("SELECT id FROM files WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?", now, limit).Rows()
	if err != nil {
		return nil, fmt.Errorf("read files that are due: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (id FileID, err error) {
		err = r.Scan(&id)
		return id, err
	})
}

// BeginRemoval takes a due file out of sight, for whoever calls to remove its content, and answers false when it is not
// due any more: a message names it, or another node is at it. Who does not end it (DeleteFile) is followed by another.
func (s *Store) BeginRemoval(ctx context.Context, id FileID, now Millis) (mine bool, err error) {
	return s.beginRemoval(ctx, id, now, func(_ string, due Millis) bool { return due > 0 && due <= now })
}

// AbandonFile is BeginRemoval of an upload that has failed, whenever it is due.
func (s *Store) AbandonFile(ctx context.Context, id FileID, now Millis) (mine bool, err error) {
	return s.beginRemoval(ctx, id, now, func(state string, _ Millis) bool { return state == fileUploading })
}

func (s *Store) beginRemoval(ctx context.Context, id FileID, now Millis, may func(state string, due Millis) bool) (mine bool, err error) {
	err = s.Tx(ctx, func(tx *Store) error {
		mine = false
		state, due, err := tx.lockFile(ctx, id)
		if CodeOf(err) == CodeNotFound {
			return nil
		}
		if err != nil || !may(state, due) {
			return err
		}
		if err := tx.write(ctx).Exec("UPDATE files SET state = ?, due_at = ? WHERE id = ?", fileRemoving, now.Add(fileRemoval), id).Error; err != nil {
			return fmt.Errorf("begin removal of file: %w", err)
		}
		mine = true
		return nil
	})
	return mine, err
}

// DeleteFile forgets a file whose content is gone: one that is being removed, or whose upload failed.
func (s *Store) DeleteFile(ctx context.Context, id FileID) error {
	if err := s.write(ctx).Exec("DELETE FROM files WHERE id = ? AND state <> ?", id, fileReady).Error; err != nil {
		return fmt.Errorf("delete file: %w", err)
	}
	return nil
}
