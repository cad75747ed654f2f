package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A picture of a user or a group is a URL of somewhere else, or a file here: then a row of file_refs keeps the file and says who sees
// it. A group's has conversation_seq 0, which no message has: its members see it, from whenever on they are. A user's has
// conversation_id 0, which no conversation has, and the user in place of conversation_seq: everybody sees it, as they see the user.

// PicturePath is what a picture's URL begins with when it is a file here.
const PicturePath = "/v1/files/"

// PictureFile is the file that a picture's URL names, 0 when it is none here.
func PictureFile(url string) FileID {
	digits, here := strings.CutPrefix(url, PicturePath)
	if !here {
		return 0
	}
	id, err := ParseID[FileID](digits)
	if err != nil {
		return 0
	}
	return id
}

// Picture is whose picture it is: a group's or a user's.
type Picture struct {
	Group ConversationID
	User  UserID // when it is no group's
}

func (p Picture) seq() int64 {
	if p.Group != 0 {
		return 0
	}
	return int64(p.User)
}

// LockPictures keeps the files that pictures name as they are until the transaction ends. A transaction's files come before its conversations.
func (s *Store) LockPictures(ctx context.Context, urls ...string) error {
	var ids []FileID
	for _, url := range urls {
		if id := PictureFile(url); id != 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if _, _, err := s.lockFile(ctx, id); err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
	}
	return nil
}

// ReplacePicture puts one picture in another's place, in the transaction that stores its URL. may says whether the new one's
// file can be it. The old one's file is to be removed from now on, unless something else names it. CodeNotFound: there is no such file.
func (s *Store) ReplacePicture(ctx context.Context, of Picture, old, fresh string, may func(*File) error, now Millis) error {
	if old == fresh {
		return nil
	}
	if id := PictureFile(fresh); id != 0 {
		f := File{ID: id}
		err := s.read(ctx).Raw("SELECT owner_id, type, size FROM files WHERE id = ? AND state = ?"+s.forUpdate(), id, fileReady).Row().Scan(&f.OwnerID, &f.Type, &f.Size)
		if errors.Is(err, sql.ErrNoRows) {
			return NotFound("file")
		}
		if err != nil {
			return fmt.Errorf("read picture: %w", err)
		}
		if err := may(&f); err != nil {
			return err
		}
		if err := s.write(ctx).Exec("INSERT INTO file_refs (file_id, conversation_id, conversation_seq) VALUES (?,?,?)", id, of.Group, of.seq()).Error; err != nil {
			return fmt.Errorf("insert picture: %w", err)
		}
		if err := s.write(ctx).Exec("UPDATE files SET due_at = 0 WHERE id = ?", id).Error; err != nil {
			return fmt.Errorf("keep picture: %w", err)
		}
	}
	if id := PictureFile(old); id != 0 {
		return s.letFileGo(ctx, id, of.Group, of.seq(), now)
	}
	return nil
}
