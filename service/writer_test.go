package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"ackbox/internal/testenv"
	"ackbox/model"
)

// wholeMailbox reads a mailbox to its end and fails on a hole.
func wholeMailbox(t tester, store *model.Store, user model.UserID) (list []model.SeqMessage) {
	t.Helper()
	for {
		page, err := store.Mailbox(t.Context(), user, int64(len(list)), 200)
		must(t, err)
		for _, e := range page {
			list = append(list, e)
			if e.Seq != int64(len(list)) {
				t.Fatalf("mailbox of %d: seq %d at place %d", user, e.Seq, len(list))
			}
		}
		if len(page) == 0 {
			return list
		}
	}
}

// once fails unless each key is in the mailbox exactly once, and conversation_seq rises by one.
func once(t tester, list []model.SeqMessage, keys int) {
	t.Helper()
	seen := map[string]bool{}
	for i, e := range list {
		if seen[e.Message.ClientMsgID] {
			t.Errorf("key %s has two messages", e.Message.ClientMsgID)
		}
		seen[e.Message.ClientMsgID] = true
		if e.Message.ConversationSeq != int64(i)+1 {
			t.Errorf("conversation_seq %d at place %d", e.Message.ConversationSeq, i+1)
		}
	}
	equal(t, "messages", len(seen), keys)
}

// TestPoisonRow: a message that the database refuses fails alone; the rest of its batch
// is kept, once, without a hole.
func TestPoisonRow(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		audience, a, b := n.pair(t)
		taken := n.write(t, audience, a, 1)[0].Message.ID
		var batch []*send
		for i := range 9 {
			batch = append(batch, newSend(n.text(t, audience, a, fmt.Sprint("k", i)), audience))
		}
		poison := []*send{batch[4]}
		batch[4].msg.ID = taken // an id that is there already
		if store.Dialect() == model.MySQL {
			batch[7].msg.Body = "{\"text\":\"\xff\"}" // bytes that the column does not take
			poison = append(poison, batch[7])
		}
		n.writer.run(slices.Clone(batch))
		for _, s := range batch {
			<-s.done
			bad := slices.Contains(poison, s)
			if bad != (s.result.err != nil) {
				t.Errorf("%s: %v", s.msg.ClientMsgID, s.result.err)
			}
			if bad && model.CodeOf(s.result.err) != model.CodeInternal {
				t.Errorf("%s: %v, want %s", s.msg.ClientMsgID, s.result.err, model.CodeInternal)
			}
		}
		once(t, wholeMailbox(t, store, b), 1+9-len(poison))
		once(t, wholeMailbox(t, store, a), 1+9-len(poison))
		// Its key is free: nothing of it was kept.
		again := n.text(t, audience, a, "k4")
		_, duplicate, err := n.writer.Write(within(t), again, contentHash(again), audience)
		must(t, err)
		equal(t, "duplicate", duplicate, false)
	})
}

// TestRefusedInABatch: who may not write is refused, under the lock, and holds up nobody.
func TestRefusedInABatch(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		blocked, a, b := n.pair(t)
		open, c, d := n.pair(t)
		stranger := n.user(t)
		must(t, store.SetBlock(t.Context(), blocked.ConversationID, b, a, true, 1)) // the cached audience is old now
		batch := []*send{
			newSend(n.text(t, open, c, "1"), open),
			newSend(n.text(t, blocked, a, "2"), blocked),
			newSend(n.text(t, blocked, b, "3"), blocked),
			newSend(n.text(t, open, stranger, "4"), open),
			newSend(n.text(t, open, d, "5"), open),
		}
		want := []model.Code{"", model.CodeBlocked, "", model.CodeNotFound, ""}
		n.writer.run(slices.Clone(batch))
		for i, s := range batch {
			<-s.done
			equal(t, "outcome of "+s.msg.ClientMsgID, model.CodeOf(s.result.err), want[i])
		}
		once(t, wholeMailbox(t, store, b), 1)
		once(t, wholeMailbox(t, store, c), 2)
	})
}

// TestSameKeyInABatch: of sends with one key the first makes the message; the others
// get it if they say the same, and are told if they do not, whoever was first.
func TestSameKeyInABatch(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		n := newNode(t, store, standard, newHandClock().now)
		audience, a, b := n.pair(t)
		say := func(text string) *send {
			msg := n.text(t, audience, a, "k")
			msg.Body = model.JSON(`{"text":"` + text + `"}`)
			return newSend(msg, audience)
		}
		check := func(what string, batch []*send, first model.MessageID, want ...string) {
			t.Helper()
			n.writer.run(slices.Clone(batch))
			for i, s := range batch {
				<-s.done
				got := "new"
				switch {
				case s.result.err != nil:
					got = string(model.CodeOf(s.result.err))
				case s.result.duplicate:
					got = "duplicate"
				}
				if got != want[i] {
					t.Errorf("%s: send %d: %s, want %s", what, i, got, want[i])
				}
				if s.result.err == nil && first != 0 {
					equal(t, what+": message", s.result.committed.Message.ID, first)
				}
			}
		}
		first := []*send{say("x"), say("x"), say("y"), say("x")}
		check("fresh", first, first[0].msg.ID, "new", "duplicate", string(model.CodeKeyReused), "duplicate")
		check("known", []*send{say("x"), say("y")}, first[0].msg.ID, "duplicate", string(model.CodeKeyReused))
		check("known, the odd one first", []*send{say("y"), say("x"), say("y")}, first[0].msg.ID, string(model.CodeKeyReused), "duplicate", string(model.CodeKeyReused))
		once(t, wholeMailbox(t, store, b), 1)
	})
}

// TestCut keeps transactions within their bounds.
func TestCut(t *testing.T) {
	t.Parallel()
	few, many := &model.Audience{Members: make([]model.UserID, 2)}, &model.Audience{Members: make([]model.UserID, 9_000)}
	small := newSend(&model.Message{Body: "{}"}, few)
	large := newSend(&model.Message{Body: model.JSON(make([]byte, MaxContent))}, few)
	wide := newSend(&model.Message{Body: "{}"}, many)
	equal(t, "small ones", cut([]*send{small, small, small}), 3)
	equal(t, "large bodies", cut(slices.Repeat([]*send{large}, 100)), writerBytes/MaxContent)
	equal(t, "many mailboxes", cut([]*send{wide, wide, wide}), 2)
	huge := newSend(&model.Message{Body: model.JSON(make([]byte, writerBytes+1))}, few)
	equal(t, "one alone", cut([]*send{huge, small}), 1)
}

// behindProxy is a store on MariaDB that is reached through a proxy, and one that is not.
func behindProxy(t *testing.T) (proxied, direct *model.Store, proxy *commitProxy) {
	t.Helper()
	dsn := testenv.MySQL(t)
	direct = openStore(t, model.Options{MySQLDSN: dsn})
	cfg, err := mysql.ParseDSN(dsn)
	must(t, err)
	if cfg.Net != "tcp" {
		t.Fatalf("the test's database is reached by %s, want tcp", cfg.Net)
	}
	proxy = newCommitProxy(t, cfg.Addr)
	cfg.Addr = proxy.addr()
	proxied = openStore(t, model.Options{MySQLDSN: cfg.FormatDSN()})
	return proxied, direct, proxy
}

// TestUnknownCommit: the connection is lost in COMMIT, before the database got it or after
// it has committed. Run again, each send is answered as new and is there once.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]place{"before": cutBefore, "after": cutAfter} {
		for _, times := range []int{1, 3} {
			t.Run(fmt.Sprint(name, " ", times), func(t *testing.T) {
				t.Parallel()
				store, direct, proxy := behindProxy(t)
				n := newNode(t, store, standard, newHandClock().now)
				audience, a, b := n.pair(t)
				n.write(t, audience, a, 1)
				proxy.arm(where, times)
				const sends = 40
				type answer struct {
					message   *model.Message
					duplicate bool
				}
				answers := make([]answer, sends)
				drafts := make([]*model.Message, sends)
				for i := range drafts {
					drafts[i] = n.text(t, audience, a, fmt.Sprint("k", i))
				}
				group, ctx := errgroup.WithContext(within(t))
				for i, msg := range drafts {
					group.Go(func() error {
						c, duplicate, err := n.writer.Write(ctx, msg, contentHash(msg), audience)
						if err == nil {
							answers[i] = answer{c.Message, duplicate}
						}
						return err
					})
				}
				must(t, group.Wait())
				equal(t, "cuts", proxy.made(), times)
				list := wholeMailbox(t, direct, b)
				once(t, list, 1+sends)
				once(t, wholeMailbox(t, direct, a), 1+sends)
				for i, got := range answers {
					equal(t, "duplicate", got.duplicate, false)
					at := slices.IndexFunc(list, func(e model.SeqMessage) bool { return e.Message.ID == got.message.ID })
					if at < 0 {
						t.Fatalf("send %d was answered with message %d, which is not there", i, got.message.ID)
					}
					stored := list[at].Message
					if stored.ClientMsgID != fmt.Sprint("k", i) || stored.ConversationSeq != got.message.ConversationSeq || stored.SenderSeq != got.message.SenderSeq || stored.CreatedAt != got.message.CreatedAt {
						t.Errorf("send %d was answered with %+v, stored is %+v", i, got.message, stored)
					}
					again := n.text(t, audience, a, stored.ClientMsgID)
					c, duplicate, err := n.writer.Write(within(t), again, contentHash(again), audience)
					must(t, err)
					if !duplicate || c.Message.ID != stored.ID {
						t.Errorf("repeated, send %d got message %d, duplicate %t", i, c.Message.ID, duplicate)
					}
				}
			})
		}
	}
}

// TestUnknownForGood: with the database gone for good in COMMIT nobody can say, and the
// sender is told so: after a while, or when the process stops.
func TestUnknownForGood(t *testing.T) {
	t.Parallel()
	for name, stops := range map[string]bool{"patience": false, "stop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, where := range []place{cutBefore, cutAfter} {
				if where == cutBefore && !stops {
					continue // ten seconds once are enough
				}
				store, direct, proxy := behindProxy(t)
				n := newNode(t, store, standard, newHandClock().now)
				audience, a, b := n.pair(t)
				msg := n.text(t, audience, a, "k")
				proxy.armLast(where)
				answered := make(chan error, 1)
				go func() {
					_, _, err := n.writer.Write(context.WithoutCancel(t.Context()), msg, contentHash(msg), audience)
					answered <- err
				}()
				eventually(t, "the cut", func() bool { return proxy.made() == 1 })
				if stops {
					ended, end := context.WithCancel(t.Context())
					end()
					must(t, n.writer.Stop(ended))
				}
				select {
				case err := <-answered:
					wantError(t, err, model.CodeUnknownOutcome)
				case <-time.After(patience):
					t.Fatal("no answer")
				}
				want := 0
				if where == cutAfter {
					want = 1
				}
				equal(t, "messages", len(wholeMailbox(t, direct, b)), want)
			}
		})
	}
}

// TestDatabaseAway: when the database is not there before COMMIT nothing was stored, and
// the sender is told that.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	store, direct, proxy := behindProxy(t)
	n := newNode(t, store, standard, newHandClock().now)
	audience, a, b := n.pair(t)
	n.write(t, audience, a, 1)
	msg := n.text(t, audience, a, "k")
	proxy.goAway()
	_, _, err := n.writer.Write(within(t), msg, contentHash(msg), audience)
	wantError(t, err, model.CodeUnavailable)
	_, err = n.acker.Ack(within(t), Ack{Key: model.DeviceKey{UserID: b, DeviceID: "d"}, UpTo: seq(1)})
	wantError(t, err, model.CodeUnavailable)
	equal(t, "messages", len(wholeMailbox(t, direct, b)), 1)
}

// TestStopWhileTheDatabaseHangs: a stop that may not wait ends what hangs, and says that
// it is unavailable or unknown, not that the server is at fault.
func TestStopWhileTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	store := openStore(t, model.Options{MySQLDSN: testenv.MySQL(t)})
	n := newNode(t, store, standard, newHandClock().now)
	audience, a, b := n.pair(t)
	n.write(t, audience, a, 1)
	locked, release := make(chan struct{}), make(chan struct{})
	group, ctx := errgroup.WithContext(within(t))
	group.Go(func() error {
		return store.Tx(ctx, func(tx *model.Store) error {
			if _, err := tx.AdvanceMailboxes(ctx, []model.UserCount{{UserID: b, Count: 1}}); err != nil {
				return err
			}
			if _, err := tx.Devices(ctx, []model.DeviceKey{{UserID: b, DeviceID: "d"}}); err != nil {
				return err
			}
			close(locked)
			<-release
			return context.Canceled // takes nothing
		})
	})
	<-locked
	var mu sync.Mutex
	codes := map[model.Code]int{}
	var sends sync.WaitGroup
	for i := range 4 {
		msg := n.text(t, audience, a, fmt.Sprint("k", i))
		sends.Go(func() {
			_, _, err := n.writer.Write(ctx, msg, contentHash(msg), audience)
			mu.Lock()
			defer mu.Unlock()
			codes[model.CodeOf(err)]++
		})
	}
	eventually(t, "the sends to be under way", func() bool { return n.writer.queue.waiting() == 0 })
	ended, end := context.WithCancel(t.Context())
	end()
	must(t, n.writer.Stop(ended))
	sends.Wait()
	close(release)
	if err := group.Wait(); model.CodeOf(err) != model.CodeInternal { // the canceled one
		t.Errorf("the lock's holder: %v", err)
	}
	if codes[model.CodeUnavailable]+codes[model.CodeUnknownOutcome]+codes[model.CodeDraining] != 4 {
		t.Errorf("the sends were answered %v, want unavailable or unknown_outcome", codes)
	}
	equal(t, "messages", len(wholeMailbox(t, store, b)), 1)
}

// TestRacingWriters: writers of two nodes race to the same mailboxes while readers go on
// from the last seq that they saw: nothing appears late, in mailboxes and in
// conversations; and both nodes' pushes are those of the commits.
func TestRacingWriters(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		const senders, each = 8, 40
		nodes := []*node{newNode(t, store, standard, newHandClock().now), newNode(t, store, standard, time.Now)}
		reader := nodes[0].user(t)
		ctx := within(t)
		var sends errgroup.Group
		for i := range senders {
			n := nodes[i%2]
			sender := n.user(t)
			id, err := n.conversations.Direct(ctx, sender, reader)
			must(t, err)
			audience, err := n.audiences.Get(ctx, id)
			must(t, err)
			var batch []*model.Message
			for k := range each {
				batch = append(batch, n.text(t, audience, sender, fmt.Sprint("k", k)))
			}
			sends.Go(func() error {
				inner, ctx := errgroup.WithContext(ctx)
				inner.SetLimit(1 + rand.IntN(4))
				for _, msg := range batch {
					inner.Go(func() error {
						_, _, err := n.writer.Write(ctx, msg, contentHash(msg), audience)
						return err
					})
				}
				return inner.Wait()
			})
		}
		finished := make(chan error, 1)
		go func() { finished <- sends.Wait() }()
		var last int64
		conversations := map[model.ConversationID]int64{}
		var page []model.SeqMessage
		for last < senders*each {
			head, err := store.MailboxHead(ctx, reader)
			if err == nil {
				page, err = store.Mailbox(ctx, reader, last, 9)
			}
			if err != nil {
				must(t, <-finished)
				t.Fatal(err)
			}
			for _, e := range model.UpTo(page, head.Head) {
				if e.Seq != last+1 {
					t.Fatalf("after seq %d came %d: what is between appears late or never", last, e.Seq)
				}
				last = e.Seq
				if id := e.Message.ConversationID; e.Message.ConversationSeq != conversations[id]+1 {
					t.Fatalf("conversation %d: after %d came %d", id, conversations[id], e.Message.ConversationSeq)
				}
				conversations[e.Message.ConversationID]++
			}
		}
		must(t, <-finished)
		head, err := store.MailboxHead(t.Context(), reader)
		must(t, err)
		equal(t, "head", head.Head, last)
	})
}

// TestRacingKey: 32 sends of one key on two nodes make one message.
func TestRacingKey(t *testing.T) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		nodes := []*node{newNode(t, store, standard, newHandClock().now), newNode(t, store, standard, time.Now)}
		audience, a, b := nodes[0].pair(t)
		var mu sync.Mutex
		first := map[model.MessageID]int{}
		fresh := 0
		group, ctx := errgroup.WithContext(within(t))
		for i := range 32 {
			n := nodes[i%2]
			msg := n.text(t, audience, a, "one")
			group.Go(func() error {
				c, duplicate, err := n.writer.Write(ctx, msg, contentHash(msg), audience)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				first[c.Message.ID]++
				if !duplicate {
					fresh++
				}
				return nil
			})
		}
		must(t, group.Wait())
		if len(first) != 1 || fresh != 1 {
			t.Errorf("messages answered %v, %d of them as new, want one", first, fresh)
		}
		once(t, wholeMailbox(t, store, b), 1)
	})
}
