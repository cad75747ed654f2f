package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// mailboxHeads: whatever transactions race, each takes seqs of its own and none is
// left out; what is rolled back was never taken.
func mailboxHeads(t *testing.T, s *Store) {
	users := []UserID{newUser(), newUser(), newUser(), newUser()}
	var mu sync.Mutex
	taken := map[UserID][]int64{}
	group, ctx := errgroup.WithContext(within(t))
	for range 8 {
		group.Go(func() error {
			for range 12 {
				var counts []UserCount
				for _, user := range users {
					if n := rand.Int64N(4); n > 0 {
						counts = append(counts, UserCount{user, n})
					}
				}
				var heads map[UserID]int64
				refuse := rand.IntN(4) == 0
				err := s.Tx(ctx, func(tx *Store) (err error) {
					if heads, err = tx.AdvanceMailboxes(ctx, counts); err == nil && refuse {
						err = errRefused
					}
					return err
				})
				if refuse {
					continue
				}
				if err != nil {
					return err
				}
				mu.Lock()
				for _, c := range counts {
					for seq := heads[c.UserID] - c.Count + 1; seq <= heads[c.UserID]; seq++ {
						taken[c.UserID] = append(taken[c.UserID], seq)
					}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	ok(t, group.Wait())
	for _, user := range users {
		slices.Sort(taken[user])
		for i, seq := range taken[user] {
			if seq != int64(i)+1 {
				t.Fatalf("user %d: seq %d at place %d: not contiguous", user, seq, i+1)
			}
		}
		head, err := s.MailboxHead(t.Context(), user)
		ok(t, err)
		want(t, "head", head, MailboxHead{UserID: user, Head: int64(len(taken[user])), Floor: 1})
	}
	stranger, err := s.MailboxHead(t.Context(), 1)
	ok(t, err)
	want(t, "head of who has no mailbox", stranger, MailboxHead{UserID: 1, Floor: 1})
}

// nothingAppearsLate: while writers race to one mailbox, a reader that goes on from
// the last seq that it saw sees every seq.
func nothingAppearsLate(t *testing.T, s *Store) {
	const writers, each = 6, 25
	reader := newUser()
	group, ctx := errgroup.WithContext(within(t))
	for range writers {
		sender := newUser()
		c, err := s.EnsureDirect(ctx, newConversation(), sender, reader, now)
		ok(t, err)
		group.Go(func() error {
			for range each {
				if _, err := say(ctx, s, c.ID, sender, 1+rand.IntN(2), reader); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	var last int64
	writing := true
	for more := true; writing || more; {
		select {
		case err := <-ended:
			ok(t, err)
			writing = false // and at least one more look
		default:
		}
		head, err := s.MailboxHead(t.Context(), reader)
		ok(t, err)
		page, err := s.Mailbox(t.Context(), reader, last, 7)
		ok(t, err)
		for _, e := range UpTo(page, head.Head) {
			if e.Seq != last+1 {
				t.Fatalf("after seq %d came %d: what is between appears late or never", last, e.Seq)
			}
			last = e.Seq
		}
		more = len(page) == 7
	}
	head, err := s.MailboxHead(t.Context(), reader)
	ok(t, err)
	want(t, "last seq read", last, head.Head)
}

func mailboxPages(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	ids := said(t, s, id, a, 10, a, b)
	for _, c := range []struct {
		after int64
		limit int
		from  int64
		n     int
	}{{0, 50, 1, 10}, {0, 4, 1, 4}, {4, 4, 5, 4}, {8, 4, 9, 2}, {9, 1, 10, 1}, {10, 4, 0, 0}, {11, 4, 0, 0}, {1 << 62, 4, 0, 0}} {
		page, err := s.Mailbox(ctx, b, c.after, c.limit)
		ok(t, err)
		if len(page) != c.n {
			t.Fatalf("after %d, limit %d: %d entries, want %d", c.after, c.limit, len(page), c.n)
		}
		for i, e := range page {
			want(t, "seq", e.Seq, c.from+int64(i))
			want(t, "message", e.Message.ID, ids[e.Seq-1])
			want(t, "conversation_seq", e.Message.ConversationSeq, e.Seq)
			want(t, "sender", e.Message.SenderID, a)
			want(t, "body", e.Message.Body, `{"text":"hi"}`)
		}
	}
	stranger, err := s.Mailbox(ctx, newUser(), 0, 50)
	ok(t, err)
	want(t, "entries of a stranger", len(stranger), 0)
}

// mailboxPlaces are the small questions about mailboxes that acks ask.
func mailboxPlaces(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	ids := said(t, s, id, a, 3, a, b)
	ids = append(ids, said(t, s, id, b, 2, a, b)...)

	entry, err := s.EntryID(ctx, b, 2)
	ok(t, err)
	want(t, "message at seq 2", entry, ids[1])
	entry, err = s.EntryID(ctx, b, 6)
	ok(t, err)
	want(t, "message beyond the head", entry, 0)

	state, err := s.ReadAckState(ctx, []UserID{a, b}, []DeviceKey{{a, "phone"}}, []Place{{a, 1}, {b, 5}, {b, 6}}, []MemberKey{{id, a}, {id, newUser()}})
	ok(t, err)
	want(t, "b's head", state.Heads[b], MailboxHead{b, 5, 1})
	want(t, "devices", len(state.Devices), 0)
	want(t, "a's conversation reaches", state.LogHeads[MemberKey{id, a}], 5)
	want(t, "memberships", len(state.LogHeads), 1)
	places := state.Places
	want(t, "places found", len(places), 2)
	want(t, "a's first", places[Place{a, 1}], ids[0])
	want(t, "b's fifth", places[Place{b, 5}], ids[4])

	seqs, err := s.SeqsOf(ctx, b, 1, 100, []MessageID{ids[4], ids[0], ids[2], newMessageID()})
	ok(t, err)
	if !slices.Equal(seqs, []int64{3, 5}) {
		t.Errorf("seqs of messages after 1: %v, want [3 5]", seqs)
	}

	for _, after := range []int64{0, -2 * deliveredRows} { // read one by one, and summed up by the database
		delivered, err := s.WriteAcks(ctx, &AckChanges{Ranges: []Range{{b, after, 2}, {a, after, 5}}})
		ok(t, err)
		byUser := map[UserID]Delivered{}
		for _, d := range delivered {
			byUser[d.UserID] = d
		}
		want(t, "sums", len(delivered), 2)
		want(t, "what b received", byUser[b], Delivered{UserID: b, ConversationID: id, SenderID: a, From: 1, UpTo: 2})
		want(t, "what a received", byUser[a], Delivered{UserID: a, ConversationID: id, SenderID: b, From: 4, UpTo: 5})
	}

	pending, err := s.PendingByConversation(ctx, b, 1, 10)
	ok(t, err)
	if len(pending) != 1 || pending[0] != (Pending{id, 2}) {
		t.Errorf("pending after 1: %+v, want 2 of conversation %d", pending, id)
	}
}

// pruning deletes what all devices that count have acked, and says so with the floor.
func pruning(t *testing.T, s *Store) {
	ctx := within(t)
	const month = 30 * 24 * time.Hour
	since := now.Add(-month)
	for _, c := range []struct {
		name    string
		entries int
		devices []Device // UserID is filled in
		floor   int64
	}{
		{"no device keeps all", 150, nil, 1},
		{"the newest 100 stay", 150, []Device{{DeviceID: "a", Acked: 150, LastSeenAt: now}}, 51},
		{"the slowest device counts", 150, []Device{{DeviceID: "a", Acked: 150, LastSeenAt: now}, {DeviceID: "b", Acked: 20, LastSeenAt: since}}, 21},
		{"a device unseen for 30 days does not", 150, []Device{{DeviceID: "a", Acked: 150, LastSeenAt: now}, {DeviceID: "b", Acked: 20, LastSeenAt: since - 1}}, 51},
		{"only devices unseen for 30 days keep all", 150, []Device{{DeviceID: "b", Acked: 150, LastSeenAt: since - 1}}, 1},
		{"a short mailbox stays", 100, []Device{{DeviceID: "a", Acked: 100, LastSeenAt: now}}, 1},
		{"nothing acked", 150, []Device{{DeviceID: "a", LastSeenAt: now}}, 1},
		{"more than a transaction's worth", 2_150, []Device{{DeviceID: "a", Acked: 2_150, LastSeenAt: now}}, 2_051},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, a, b := direct(t, s)
			for n := c.entries; n > 0; n -= 150 {
				said(t, s, id, a, min(n, 150), b)
			}
			for i := range c.devices {
				c.devices[i].UserID = b
			}
			if len(c.devices) > 0 {
				ok(t, s.PutDevices(ctx, c.devices))
			}
			for range 2 { // again: changes nothing
				if _, _, err := s.PruneMailboxes(ctx, b-1, since, 1); err != nil {
					t.Fatal(err)
				}
				head, err := s.MailboxHead(ctx, b)
				ok(t, err)
				want(t, "head and floor", head, MailboxHead{b, int64(c.entries), c.floor})
				want(t, "rows", number(t, s, "SELECT COUNT(*) FROM mailboxes WHERE user_id = ?", b), int64(c.entries)-c.floor+1)
				want(t, "oldest row", number(t, s, "SELECT MIN(seq) FROM mailboxes WHERE user_id = ?", b), c.floor)
			}
			said(t, s, id, a, 1, b)
			page, err := s.Mailbox(ctx, b, 0, 1)
			ok(t, err)
			want(t, "first entry after the floor", page[0].Seq, c.floor)
		})
	}
}

// pruningInPages: every mailbox is looked at, however small the pages are.
func pruningInPages(t *testing.T, s *Store) {
	ctx := within(t)
	var users []UserID
	for range 5 {
		user := newUser()
		users = append(users, user)
		id, sender, _ := direct(t, s)
		said(t, s, id, sender, 103, user)
		ok(t, s.PutDevices(ctx, []Device{{UserID: user, DeviceID: "a", Acked: 103, LastSeenAt: now}}))
	}
	var total int64
	pages := 0
	for after := users[0] - 1; ; pages++ {
		last, pruned, err := s.PruneMailboxes(ctx, after, now-1, 2)
		ok(t, err)
		total += pruned
		if last == 0 {
			break
		}
		if last <= after {
			t.Fatalf("looked at %d after %d: goes round for ever", last, after)
		}
		after = last
	}
	if pages < 2 || total != 15 {
		t.Errorf("%d pages pruned %d rows, want at least 2 and 15", pages, total)
	}
	for _, user := range users {
		head, err := s.MailboxHead(ctx, user)
		ok(t, err)
		want(t, fmt.Sprintf("floor of %d", user), head.Floor, 4)
	}
}

// TestUpTo: what lies above a head that was known before is left for the next reading, whether there is a hole or not.
func TestUpTo(t *testing.T) {
	for _, c := range []struct {
		seqs []int64
		head int64
		want int
	}{{nil, 5, 0}, {[]int64{4, 5}, 5, 2}, {[]int64{4, 5, 7}, 5, 2}, {[]int64{7}, 5, 0}, {[]int64{9, 10}, 10, 2}} {
		var list []SeqMessage
		for _, seq := range c.seqs {
			list = append(list, SeqMessage{Seq: seq})
		}
		want(t, "entries up to the head", len(UpTo(list, c.head)), c.want)
	}
}
