package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"ackbox/internal/testenv"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// stores makes an empty, migrated store of each dialect.
var stores = map[Dialect]func(t *testing.T) Options{
	SQLite: func(t *testing.T) Options {
		t.Helper()
		return Options{SQLitePath: filepath.Join(t.TempDir(), "ackbox.db")}
	},
	MySQL: func(t *testing.T) Options { t.Helper(); return Options{MySQLDSN: testenv.MySQL(t)} },
}

// onBoth runs a test on an empty database of each dialect.
func onBoth(t *testing.T, test func(t *testing.T, options Options)) {
	t.Helper()
	for dialect, options := range stores {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			test(t, options(t))
		})
	}
}

func open(t *testing.T, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), options)
	ok(t, err)
	t.Cleanup(func() { ok(t, s.Close()) })
	return s
}

// TestStore is the behaviour of Store, the same on both dialects. The parts share a
// database and use ids of their own.
func TestStore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options Options) {
		s := open(t, options)
		ok(t, s.Migrate(t.Context()))
		for _, part := range []struct {
			name string
			test func(t *testing.T, s *Store)
		}{
			{"transactions", transactions},
			{"fresh and duplicate send keys", sendKeys},
			{"a racing send key waits for its owner", racingSendKey},
			{"places are taken with new keys only", takenPlaces},
			{"a race for a new key", racingPlaces},
			{"mailbox heads are contiguous", mailboxHeads},
			{"conversation heads are contiguous", conversationHeads},
			{"nothing is left of a missing conversation", missingConversation},
			{"nothing appears late in a mailbox", nothingAppearsLate},
			{"mailbox pages", mailboxPages},
			{"places in mailboxes", mailboxPlaces},
			{"history pages", historyPages},
			{"pruning", pruning},
			{"a pruned page at a time", pruningInPages},
			{"devices only move forward", devicesForward},
			{"a forgotten device", forgottenDevice},
			{"room for devices", roomForDevices},
			{"selective acks", selectiveAcks},
			{"log positions", logPositions},
			{"delivered positions", deliveredPositions},
			{"read positions", readPositions},
			{"messages are found in mailboxes", messagePlaces},
			{"whom a message was for", messageRecipients},
			{"stuck devices", stuckDevices},
			{"views", views},
			{"mentions are counted", mentionsCounted},
			{"replies quote what is there", quotesRead},
			{"audiences", audiences},
			{"files", files},
			{"who sees a file", fileMembers},
			{"files up to a quota", fileQuota},
			{"a removal and a message that names the file", fileRace},
			{"one conversation a pair", oneConversationAPair},
			{"the audit log", auditLog},
			{"leases", leases},
			{"racing leases", racingLeases},
			{"a lost lease", lostLease},
		} {
			t.Run(part.name, func(t *testing.T) { part.test(t, s) })
		}
	})
}

// next makes ids that no other part uses.
var next atomic.Int64

func newUser() UserID                 { return UserID(1_000_000 + next.Add(1)) }
func newMessageID() MessageID         { return MessageID(1_000_000 + next.Add(1)) }
func newConversation() ConversationID { return ConversationID(1_000_000 + next.Add(1)) }

const now = Millis(1_790_000_000_000)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code Code) {
	t.Helper()
	if CodeOf(err) != code {
		t.Fatalf("got error %v, want code %q", err, code)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// await asks again and again until done is true. (InnoDB answers what it knows of
// transactions from a cache that is renewed only after 100 ms without a question.)
func await(ctx context.Context, t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	tick := time.NewTicker(120 * time.Millisecond)
	defer tick.Stop()
	for {
		is, err := done()
		ok(t, err)
		if is {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// direct is a conversation of two new users.
func direct(t *testing.T, s *Store) (id ConversationID, a, b UserID) {
	t.Helper()
	a, b = newUser(), newUser()
	c, err := s.EnsureDirect(t.Context(), newConversation(), a, b, now)
	ok(t, err)
	return c.ID, a, b
}

// say puts n messages of a sender into a conversation and the mailboxes of the given
// users, as the writer does, and answers their ids.
func say(ctx context.Context, s *Store, id ConversationID, sender UserID, n int, users ...UserID) (ids []MessageID, err error) {
	for range n {
		ids = append(ids, newMessageID())
	}
	counts := make([]UserCount, 0, len(users)) // users ascend
	for _, user := range users {
		counts = append(counts, UserCount{user, int64(n)})
	}
	err = s.Tx(ctx, func(tx *Store) error {
		conversations, err := tx.AdvanceConversations(ctx, []ConversationCount{{id, int64(n)}}, now)
		if err != nil {
			return err
		}
		heads, err := tx.AdvanceMailboxes(ctx, counts)
		if err != nil {
			return err
		}
		var messages []*Message
		var entries []Entry
		for i, message := range ids {
			seq := conversations[id].Head - int64(n) + int64(i) + 1
			messages = append(messages, &Message{ID: message, ConversationID: id, ConversationSeq: seq, SenderID: sender, ClientMsgID: fmt.Sprint(message), Type: TypeText, Body: `{"text":"hi"}`, Ext: "{}", CreatedAt: now})
			for _, user := range users {
				entries = append(entries, Entry{UserID: user, Seq: heads[user] - int64(n) + int64(i) + 1, MessageID: message, ConversationID: id, ConversationSeq: seq, SenderID: sender})
			}
		}
		return tx.InsertMessages(ctx, messages, entries)
	})
	return ids, err
}

func said(t *testing.T, s *Store, id ConversationID, sender UserID, n int, users ...UserID) []MessageID {
	t.Helper()
	ids, err := say(t.Context(), s, id, sender, n, users...)
	ok(t, err)
	return ids
}

// number is the answer of a query that answers one number.
func number(t *testing.T, s *Store, query string, args ...any) (n int64) {
	t.Helper()
	ok(t, s.read(t.Context()).Raw(query, args...).Row().Scan(&n))
	return n
}

// waits returns when the transaction on a connection waits for another's lock.
func waits(ctx context.Context, t *testing.T, s *Store, connection func() int64, before int64) {
	t.Helper()
	await(ctx, t, "a transaction that waits for a lock", func() (bool, error) {
		if s.dialect == SQLite { // all write transactions wait for the one connection that writes
			pool, err := s.writer.DB()
			if err != nil {
				return false, err
			}
			return pool.Stats().WaitCount > before, nil
		}
		id := connection()
		if id == 0 {
			return false, nil
		}
		var n int
		err := s.read(ctx).Raw("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = ? AND trx_state = 'LOCK WAIT'", id).Row().Scan(&n)
		return n > 0, err
	})
}

// connectionID is the database's number of a transaction's connection, 0 on SQLite.
func connectionID(ctx context.Context, tx *Store) (id int64, err error) {
	if tx.dialect == SQLite {
		return 0, nil
	}
	err = tx.read(ctx).Raw("SELECT CONNECTION_ID()").Row().Scan(&id)
	return id, err
}

func poolOf(t *testing.T, s *Store) *sql.DB {
	t.Helper()
	pool, err := s.writer.DB()
	ok(t, err)
	return pool
}

var errRefused = errors.New("refused by the test")
