package job

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"ackbox/model"
)

// TestPruneMailboxes goes through all mailboxes, however many there are, and leaves
// what a device of the last 30 days has not acked. (What a mailbox keeps is tested
// where it is decided, in model.)
func TestPruneMailboxes(t *testing.T) {
	ctx := t.Context()
	store, err := model.Open(ctx, model.Options{SQLitePath: filepath.Join(t.TempDir(), "a.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const users = pruneUsers + 3
	err = store.Tx(ctx, func(tx *model.Store) error {
		for from := model.UserID(1); from <= users; from += 50 {
			var counts []model.UserCount
			var devices []model.Device
			for user := from; user <= min(users, from+49); user++ {
				counts = append(counts, model.UserCount{UserID: user, Count: 103})
				seen := now
				if user == 7 {
					seen = now.Add(-DeviceMemory - time.Millisecond)
				}
				devices = append(devices, model.Device{UserID: user, DeviceID: "d", Acked: 103, LastSeenAt: model.MillisOf(seen)})
			}
			if _, err := tx.AdvanceMailboxes(ctx, counts); err != nil {
				return err
			}
			if err := tx.PutDevices(ctx, devices); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	prune := PruneMailboxes(store, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	for range 2 {
		if err := prune.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for _, user := range []model.UserID{1, 7, pruneUsers, users} {
			head, err := store.MailboxHead(ctx, user)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(4)
			if user == 7 {
				want = 1
			}
			equal(t, "floor", head.Floor, want)
		}
	}
	ended, end := context.WithCancel(ctx)
	end()
	if prune.Run(ended) == nil {
		t.Error("went on after its end")
	}
}
