package e2e

import (
	"net/http"
	"testing"

	"ackbox/client"
)

// filled are two people, the second of whom has got n messages of the first.
func filled(t *testing.T, s *system, n int) (alice, bob *actor, entries []client.Entry) {
	t.Helper()
	alice, bob = s.user(t), s.user(t)
	alice.fill(bob, n)
	entries = bob.wholeMailbox()
	if len(entries) != n {
		t.Fatalf("%d entries, want %d", len(entries), n)
	}
	return alice, bob, entries
}

// mailboxPaging: pages ascend, say whether there is more, and reading acks nothing.
func mailboxPaging(t *testing.T, s *system) {
	empty := s.user(t).page(0, 0)
	if empty.Entries == nil || len(empty.Entries) != 0 || empty.Head != 0 || empty.HasMore {
		t.Errorf("an empty mailbox: got %+v", empty)
	}
	alice, bob, entries := filled(t, s, 60)
	for _, want := range []struct {
		after       int64
		limit       int
		first, last int64
		more        bool
	}{
		{0, 0, 1, 50, true}, // the default limit
		{0, 10, 1, 10, true},
		{50, 10, 51, 60, false},
		{55, 10, 56, 60, false},
		{59, 1, 60, 60, false},
		{58, 1, 59, 59, true},
		{0, 200, 1, 60, false},
		{60, 10, 61, 60, false},
		{1000, 10, 1001, 1000, false},
	} {
		page := bob.page(want.after, want.limit)
		if page.Entries == nil || int64(len(page.Entries)) != want.last-want.first+1 || page.HasMore != want.more || page.Head != 60 || page.Floor != 1 {
			t.Errorf("after %d limit %d: got %d entries, has_more %t, head %d, floor %d", want.after, want.limit, len(page.Entries), page.HasMore, page.Head, page.Floor)
			continue
		}
		for i, entry := range page.Entries {
			if entry.Seq != want.first+int64(i) {
				t.Errorf("after %d limit %d: entry %d has seq %d", want.after, want.limit, i, entry.Seq)
			}
		}
	}
	bob.acked("laptop", 0)
	// The sender's own mailbox has the same messages.
	for i, entry := range alice.wholeMailbox() {
		if d := difference(entries[i].Message, entry.Message); d != "" {
			t.Fatalf("entry %d differs at the sender (-recipient +sender):\n%s", i+1, d)
		}
	}
}

// mailboxSync: the next page's pull is the last page's ack, for this device only.
func mailboxSync(t *testing.T, s *system) {
	alice, bob, entries := filled(t, s, 25)
	phone := alice.openLive("phone")
	page := bob.sync(client.Pull{DeviceID: "laptop", Limit: 10})
	if len(page.Entries) != 10 || !page.HasMore || page.Head != 25 || page.Floor != 1 {
		t.Fatalf("first page: got %d entries, has_more %t, head %d, floor %d", len(page.Entries), page.HasMore, page.Head, page.Floor)
	}
	bob.acked("laptop", 0)
	page = bob.sync(client.Pull{DeviceID: "laptop", After: 10, AfterID: entries[9].Message.MessageID, Limit: 10})
	if len(page.Entries) != 10 || page.Entries[0].Seq != 11 || !page.HasMore {
		t.Fatalf("second page: got %+v", page)
	}
	bob.acked("laptop", 10)
	phone.receipt(bob, entries[0].Message.ConversationID, 10, 10)
	page = bob.sync(client.Pull{DeviceID: "laptop", After: 25, AfterID: entries[24].Message.MessageID})
	if page.Entries == nil || len(page.Entries) != 0 || page.HasMore {
		t.Fatalf("after the last: got %+v", page)
	}
	bob.acked("laptop", 25)
	bob.acked("phone", 0)
	bob.sync(client.Pull{DeviceID: "laptop", After: 5, Limit: 1})
	bob.acked("laptop", 25)
	phone.receipt(bob, entries[0].Message.ConversationID, 25, 25)
}

// lost checks a position_lost refusal that tells where the mailbox is.
func lost(t *testing.T, err error, head int64) {
	t.Helper()
	problem := refused(t, err, "position_lost", http.StatusConflict)
	if problem.Head == nil || *problem.Head != head || problem.Floor == nil || *problem.Floor != 1 {
		t.Fatalf("position_lost tells head %v floor %v, want %d and 1", problem.Head, problem.Floor, head)
	}
}

// mailboxPositionLost: a position that the mailbox doesn't have is refused, and nothing is acked.
func mailboxPositionLost(t *testing.T, s *system) {
	_, bob, entries := filled(t, s, 5)
	_, stranger, others := filled(t, s, 1)
	for name, pull := range map[string]client.Pull{
		"another entry's id":   {DeviceID: "laptop", After: 3, AfterID: entries[3].Message.MessageID},
		"a stranger's message": {DeviceID: "laptop", After: 3, AfterID: others[0].Message.MessageID},
		"no message's id":      {DeviceID: "laptop", After: 3, AfterID: "9007199254740993"},
		"beyond head":          {DeviceID: "laptop", After: 6},
		"far beyond head":      {DeviceID: "laptop", After: 1 << 62},
		"beyond head, with id": {DeviceID: "laptop", After: 6, AfterID: entries[4].Message.MessageID},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bob.Sync(within(t, patience), pull)
			lost(t, err, 5)
		})
	}
	bob.acked("laptop", 0)
	bob.sync(client.Pull{DeviceID: "laptop", After: 3, AfterID: entries[2].Message.MessageID})
	bob.acked("laptop", 3)
	stranger.acked("laptop", 0)
}

// mailboxAck: cumulative acks move forward only; single acks wait for the gap before them.
func mailboxAck(t *testing.T, s *system) {
	alice, bob, entries := filled(t, s, 12)
	phone := alice.openLive("phone")
	conversation := entries[0].Message.ConversationID
	id := func(seq int64) client.MessageID { return entries[seq-1].Message.MessageID }
	single := func(wanted int64, seqs ...int64) {
		t.Helper()
		ack := client.Ack{DeviceID: "laptop"}
		for _, seq := range seqs {
			ack.MessageIDs = append(ack.MessageIDs, id(seq))
		}
		acked, err := bob.Ack(within(t, patience), ack)
		if err != nil {
			t.Fatalf("ack %v: %v", seqs, err)
		}
		if acked != wanted {
			t.Fatalf("ack %v: acked %d, want %d", seqs, acked, wanted)
		}
	}
	bob.ack("laptop", 5, 5)
	bob.ack("laptop", 5, 5)
	bob.ack("laptop", 3, 5)
	bob.ack("laptop", 0, 5)
	phone.receipt(bob, conversation, 5, 5)
	single(5, 8)
	single(5, 7, 10)
	single(5, 8)
	bob.acked("laptop", 5)
	single(8, 6) // fills the gap
	phone.receipt(bob, conversation, 8, 8)
	bob.ack("laptop", 9, 10) // 10 was acked singly
	single(10, 2)            // long acked
	single(12, 12, 11)
	phone.receipt(bob, conversation, 12, 12)
	bob.acked("laptop", 12)
	bob.acked("phone", 0)

	// Both ways in one call, with the check of the position.
	upTo := int64(4)
	acked, err := bob.Ack(within(t, patience), client.Ack{DeviceID: "tablet", UpTo: &upTo, UpToID: id(4), MessageIDs: []client.MessageID{id(5), id(7)}})
	if err != nil || acked != 5 {
		t.Fatalf("up_to 4 and singly 5 and 7: acked %d, %v; want 5", acked, err)
	}
}

// mailboxAckPositionLost: acks beyond head, or of another message than is there, are refused and move nothing.
func mailboxAckPositionLost(t *testing.T, s *system) {
	_, bob, entries := filled(t, s, 5)
	two, six := int64(2), int64(6)
	for name, ack := range map[string]client.Ack{
		"beyond head":        {DeviceID: "laptop", UpTo: &six},
		"another entry's id": {DeviceID: "laptop", UpTo: &two, UpToID: entries[2].Message.MessageID},
		"no message's id":    {DeviceID: "laptop", UpTo: &two, UpToID: "9007199254740993"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bob.Ack(within(t, patience), ack)
			lost(t, err, 5)
		})
	}
	bob.acked("laptop", 0)
}

// mailboxSummary: counts first, pull later.
func mailboxSummary(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	var lastOfAlice, ofCarol client.Sent
	for range 3 {
		lastOfAlice = alice.send(bob, "hi")
	}
	ofCarol = carol.send(bob, "hello")
	check := func(acked, pending int64) {
		t.Helper()
		summary, err := bob.Summary(within(t, patience), "laptop")
		if err != nil {
			t.Fatal(err)
		}
		if summary.Head != 4 || summary.Acked != acked || summary.Pending != pending {
			t.Fatalf("got head %d acked %d pending %d, want 4, %d, %d", summary.Head, summary.Acked, summary.Pending, acked, pending)
		}
		if acked != 0 {
			return
		}
		want := map[client.ConversationID]struct {
			unread, head int64
			last         client.Message
		}{
			lastOfAlice.Message.ConversationID: {3, 3, lastOfAlice.Message},
			ofCarol.Message.ConversationID:     {1, 1, ofCarol.Message},
		}
		if len(summary.Conversations) != len(want) {
			t.Fatalf("%d conversations, want %d", len(summary.Conversations), len(want))
		}
		for _, c := range summary.Conversations {
			w, ok := want[c.ConversationID]
			if !ok || c.Unread != w.unread || c.Head != w.head || c.LastMessage == nil {
				t.Fatalf("got conversation %+v, want unread %d, head %d and its last message", c, w.unread, w.head)
			}
			if d := difference(w.last, *c.LastMessage); d != "" {
				t.Fatalf("last_message (-want +got):\n%s", d)
			}
		}
	}
	check(0, 4)
	bob.ack("laptop", 3, 3)
	check(3, 1)
	bob.ack("laptop", 4, 4)
	check(4, 0)
}
