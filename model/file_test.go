package model

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

func newFileID() FileID { return FileID(1_000_000 + next.Add(1)) }

// aUser is a row of users.
func aUser(t *testing.T, s *Store) UserID {
	t.Helper()
	u := &User{ID: newUser(), Role: RoleUser, CreatedAt: now}
	u.Username = fmt.Sprintf("file%d", u.ID)
	ok(t, s.CreateUser(t.Context(), u))
	return u.ID
}

func aFile(t *testing.T, s *Store, owner UserID, size int64) *File {
	t.Helper()
	f := &File{ID: newFileID(), OwnerID: owner, Name: "名.png", Type: "image/png", Size: size, CreatedAt: now}
	ok(t, s.AddFile(t.Context(), f, now.Add(24*time.Hour), 0))
	return f
}

func finished(t *testing.T, s *Store, f *File) *File {
	t.Helper()
	f.SHA256, f.Width, f.Height = "ab", 3, 4
	ok(t, s.FinishFile(t.Context(), f))
	return f
}

func naming(f FileID, in ConversationID, seq int64) *Message {
	id := newMessageID()
	return &Message{ID: id, ConversationID: in, ConversationSeq: seq, ClientMsgID: id.String(), Type: TypeFile, Body: JSON(`{"file_id":"` + f.String() + `"}`), Ext: "{}", CreatedAt: now}
}

// named makes messages durable that name files.
func named(t *testing.T, s *Store, list ...*Message) {
	t.Helper()
	ok(t, s.Tx(t.Context(), func(tx *Store) error {
		without, err := tx.LockFiles(t.Context(), list)
		if err != nil {
			return err
		}
		if len(without) > 0 {
			return fmt.Errorf("%d messages without their file", len(without))
		}
		return tx.InsertMessages(t.Context(), list, nil)
	}))
}

func isDue(t *testing.T, s *Store, id FileID, at Millis) bool {
	t.Helper()
	list, err := s.DueFiles(t.Context(), at, 10_000)
	ok(t, err)
	for _, f := range list {
		if f == id {
			return true
		}
	}
	return false
}

// files: a file is there from the end of its upload until nothing names it any more.
func files(t *testing.T, s *Store) {
	ctx := t.Context()
	owner := aUser(t, s)
	f := aFile(t, s, owner, 10)
	_, err := s.VisibleFile(ctx, owner, f.ID)
	wantCode(t, err, CodeNotFound) // not there as a whole yet
	first := naming(f.ID, newConversation(), 1)
	without, err := s.LockFiles(ctx, []*Message{first})
	ok(t, err)
	want(t, "without a file that is on its way", len(without), 1)
	finished(t, s, f)
	got, err := s.VisibleFile(ctx, owner, f.ID)
	ok(t, err)
	want(t, "file", *got, *f)
	_, err = s.VisibleFile(ctx, newUser(), f.ID)
	wantCode(t, err, CodeNotFound)
	wantCode(t, s.FinishFile(ctx, f), CodeNotFound) // is no upload any more

	want(t, "due within the day", isDue(t, s, f.ID, now.Add(24*time.Hour)-1), false)
	want(t, "due after it", isDue(t, s, f.ID, now.Add(24*time.Hour)), true)
	second := naming(f.ID, newConversation(), 1)
	named(t, s, first, second)
	want(t, "due while it is named", isDue(t, s, f.ID, now.Add(999*time.Hour)), false)
	mine, err := s.BeginRemoval(ctx, f.ID, now.Add(999*time.Hour))
	ok(t, err)
	want(t, "removed while it is named", mine, false)

	ok(t, s.Tx(ctx, func(tx *Store) error { return tx.Recall(ctx, first, now) }))
	want(t, "due while it is named once more", isDue(t, s, f.ID, now.Add(999*time.Hour)), false)
	ok(t, s.Tx(ctx, func(tx *Store) error { return tx.Recall(ctx, second, now) }))
	want(t, "due after the last recall", isDue(t, s, f.ID, now), true)

	third := naming(f.ID, newConversation(), 1)
	named(t, s, third) // comes back in time
	want(t, "due when it is named again", isDue(t, s, f.ID, now.Add(999*time.Hour)), false)
	ok(t, s.Tx(ctx, func(tx *Store) error { return tx.Recall(ctx, third, now) }))

	mine, err = s.BeginRemoval(ctx, f.ID, now)
	ok(t, err)
	want(t, "removed", mine, true)
	mine, err = s.BeginRemoval(ctx, f.ID, now)
	ok(t, err)
	want(t, "removed twice", mine, false)
	_, err = s.VisibleFile(ctx, owner, f.ID)
	wantCode(t, err, CodeNotFound)
	without, err = s.LockFiles(ctx, []*Message{naming(f.ID, newConversation(), 1)})
	ok(t, err)
	want(t, "without a file that is being removed", len(without), 1)
	want(t, "due for another node, had this one died", isDue(t, s, f.ID, now.Add(fileRemoval)), true)
	ok(t, s.DeleteFile(ctx, f.ID))
	want(t, "due after its end", isDue(t, s, f.ID, now.Add(999*time.Hour)), false)

	kept := finished(t, s, aFile(t, s, owner, 1))
	mine, err = s.AbandonFile(ctx, kept.ID, now)
	ok(t, err)
	want(t, "an upload that was ready is given up", mine, false)
	ok(t, s.DeleteFile(ctx, kept.ID))
	_, err = s.VisibleFile(ctx, owner, kept.ID)
	ok(t, err) // what is ready is not deleted just so
	broken := aFile(t, s, owner, 1)
	mine, err = s.AbandonFile(ctx, broken.ID, now)
	ok(t, err)
	want(t, "an upload that failed is given up", mine, true)
	wantCode(t, s.FinishFile(ctx, broken), CodeNotFound)
}

// fileMembers: who sees a message that names a file sees the file.
func fileMembers(t *testing.T, s *Store) {
	ctx := t.Context()
	owner, member, late, stranger := aUser(t, s), aUser(t, s), aUser(t, s), aUser(t, s)
	c := newConversation()
	exec := func(query string, args ...any) {
		t.Helper()
		ok(t, s.write(ctx).Exec(query, args...).Error)
	}
	sees := func(what string, user UserID, f *File, yes bool) {
		t.Helper()
		_, err := s.VisibleFile(ctx, user, f.ID)
		if yes {
			ok(t, err)
			return
		}
		if CodeOf(err) != CodeNotFound {
			t.Errorf("%s: %v, want CodeNotFound", what, err)
		}
	}
	exec("INSERT INTO conversations (id, kind, name, history, head) VALUES (?, 'group', '', 'joined', 9)", c)
	exec("INSERT INTO members (conversation_id, user_id, role, joined_seq) VALUES (?,?,'member',0), (?,?,'member',5)", c, member, c, late)
	f := finished(t, s, aFile(t, s, owner, 1))
	sees("before", member, f, false)
	named(t, s, naming(f.ID, c, 5))
	sees("a member", member, f, true)
	sees("who joined later", late, f, false)
	sees("a stranger", stranger, f, false)
	exec("UPDATE conversations SET history = 'all' WHERE id = ?", c)
	sees("who joined later, of an open past", late, f, true)
	exec("UPDATE conversations SET history = 'joined' WHERE id = ?", c)
	named(t, s, naming(f.ID, c, 6))
	sees("who joined later, sent again", late, f, true)
	exec("UPDATE members SET left_seq = 7 WHERE conversation_id = ? AND user_id = ?", c, member)
	sees("who left", member, f, false)
	exec("UPDATE conversations SET dissolved_at = 1 WHERE id = ?", c)
	sees("of a dissolved group", late, f, false)
	sees("the owner", owner, f, true)
}

// fileQuota: uploads at the same time cannot have the same room.
func fileQuota(t *testing.T, s *Store) {
	owner := aUser(t, s)
	const room = 5
	var wg sync.WaitGroup
	refused, added := make(chan error, 20), make(chan FileID, 20)
	for range 20 {
		f := &File{ID: newFileID(), OwnerID: owner, Type: "text/plain", Size: 1000, CreatedAt: now}
		wg.Go(func() {
			if err := s.AddFile(t.Context(), f, now, room*(1000+FileOverhead)); err != nil {
				refused <- err
				return
			}
			added <- f.ID
		})
	}
	wg.Wait()
	close(refused)
	for err := range refused {
		wantCode(t, err, CodeQuotaExceeded)
	}
	want(t, "files", len(added), room)
	one := <-added
	ok(t, s.DeleteFile(t.Context(), one))
	ok(t, s.AddFile(t.Context(), &File{ID: newFileID(), OwnerID: owner, Type: "text/plain", Size: 1000, CreatedAt: now}, now, room*(1000+FileOverhead)))
	wantCode(t, s.AddFile(t.Context(), &File{ID: newFileID(), OwnerID: newUser(), Type: "text/plain", Size: 1, CreatedAt: now}, now, 10_000), CodeNotFound)
}

// fileRace: a message that names a file and the removal of it meet; one of them is too late, and sees it.
func fileRace(t *testing.T, s *Store) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	owner := aUser(t, s)
	for range 30 {
		f := finished(t, s, aFile(t, s, owner, 1))
		m := naming(f.ID, newConversation(), 1)
		var wg sync.WaitGroup
		var sent, removed bool
		var sendErr, removeErr error
		wg.Go(func() {
			sendErr = s.Pipelined(ctx, func(tx *Store) error {
				without, err := tx.LockFiles(ctx, []*Message{m})
				if sent = err == nil && len(without) == 0; !sent {
					return err
				}
				return tx.InsertMessages(ctx, []*Message{m}, nil)
			})
		})
		wg.Go(func() { removed, removeErr = s.BeginRemoval(ctx, f.ID, now.Add(25*time.Hour)) })
		wg.Wait()
		ok(t, sendErr)
		ok(t, removeErr)
		if sent == removed {
			t.Fatalf("sent: %t, removed: %t", sent, removed)
		}
	}
}

// TestFileNamed: a message names a file in one way only.
func TestFileNamed(t *testing.T) {
	for _, c := range []struct {
		kind MessageType
		body JSON
		want FileID
	}{
		{TypeImage, `{"file_id":"7"}`, 7}, {TypeFile, `{"file_id":"7","name":"x"}`, 7}, {TypeAudio, `{"file_id":"7"}`, 7}, {TypeVideo, `{"file_id":"7"}`, 7},
		{TypeText, `{"text":"\"file_id\":\"7\""}`, 0}, {TypeCustom, `{"file_id":"7"}`, 0}, {TypeRecall, `{"file_id":"7"}`, 0},
		{TypeImage, `{"url":"/x"}`, 0}, {TypeImage, `{"FILE_ID":"7"}`, 0}, {TypeImage, `{"FILE_ID":"7","file_id":"8"}`, 8}, {TypeImage, `{"FILE_ID":"7","x":{"file_id":"8"}}`, 0},
		{TypeImage, `{"file_id":7}`, 0}, {TypeImage, `{"file_id":"x"}`, 0}, {TypeImage, `{"file_id":null}`, 0}, {TypeImage, `{"file_id":["7"]}`, 0}, {TypeImage, `{}`, 0}, {TypeImage, ``, 0},
	} {
		want(t, string(c.kind)+" "+string(c.body), (&Message{Type: c.kind, Body: c.body}).FileNamed(), c.want)
	}
}
