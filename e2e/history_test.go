package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
)

// history reads a page; query is pairs of a name and a number.
func (a *actor) history(id client.ConversationID, query map[string]int64) (client.History, error) {
	a.t.Helper()
	values := url.Values{}
	for name, n := range query {
		values.Set(name, strconv.FormatInt(n, 10))
	}
	return a.History(within(a.t, patience), id, values)
}

// historyPages: ascending after, descending before, the newest page without either.
func historyPages(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	for n := int64(2); n <= 60; n++ {
		alice.say(id, fmt.Sprint(n))
	}
	for _, want := range []struct {
		query       map[string]int64
		first, last int64 // first > last: none, or descending
		n           int
		more        bool
	}{
		{map[string]int64{}, 60, 11, 50, true},
		{map[string]int64{"limit": 200}, 60, 1, 60, false},
		{map[string]int64{"limit": 60}, 60, 1, 60, false},
		{map[string]int64{"limit": 59}, 60, 2, 59, true},
		{map[string]int64{"after_seq": 0}, 1, 50, 50, true},
		{map[string]int64{"after_seq": 0, "limit": 10}, 1, 10, 10, true},
		{map[string]int64{"after_seq": 50, "limit": 10}, 51, 60, 10, false},
		{map[string]int64{"after_seq": 49, "limit": 10}, 50, 59, 10, true},
		{map[string]int64{"after_seq": 60}, 0, 0, 0, false},
		{map[string]int64{"after_seq": 1 << 62}, 0, 0, 0, false},
		{map[string]int64{"before_seq": 11, "limit": 10}, 10, 1, 10, false},
		{map[string]int64{"before_seq": 12, "limit": 10}, 11, 2, 10, true},
		{map[string]int64{"before_seq": 61, "limit": 3}, 60, 58, 3, true},
		{map[string]int64{"before_seq": 1 << 62, "limit": 3}, 60, 58, 3, true},
		{map[string]int64{"before_seq": 1}, 0, 0, 0, false},
		{map[string]int64{"before_seq": 0}, 0, 0, 0, false},
	} {
		page, err := bob.history(id, want.query)
		if err != nil {
			t.Errorf("%v: %v", want.query, err)
			continue
		}
		if page.Messages == nil || len(page.Messages) != want.n || page.HasMore != want.more || page.Head != 60 {
			t.Errorf("%v: got %d messages, has_more %t, head %d", want.query, len(page.Messages), page.HasMore, page.Head)
			continue
		}
		step := int64(1)
		if want.first > want.last {
			step = -1
		}
		for i, m := range page.Messages {
			if m.ConversationSeq != want.first+step*int64(i) {
				t.Errorf("%v: message %d has seq %d", want.query, i, m.ConversationSeq)
			}
		}
	}
	for _, query := range []url.Values{
		{"after_seq": {"1"}, "before_seq": {"5"}}, {"after_seq": {"-1"}}, {"before_seq": {"x"}}, {"limit": {"0"}}, {"limit": {"201"}},
		{"after_id": {"1"}}, {"after_seq": {"1"}, "after_id": {"x"}}, {"before_seq": {"2"}, "after_id": {"1"}}, {"after_seq": {"1"}, "after_id": {"0"}},
	} {
		_, err := bob.History(within(t, patience), id, query)
		refused(t, err, "", http.StatusUnprocessableEntity)
	}

	// Who says what they hold is told when it is not there.
	all := bob.wholeHistory(id, 0)
	held := func(seq int64, holds client.MessageID, limit string) (client.History, error) {
		return bob.History(within(t, patience), id, url.Values{"after_seq": {strconv.FormatInt(seq, 10)}, "after_id": {string(holds)}, "limit": {limit}})
	}
	for _, seq := range []int64{1, 50, 59, 60} {
		page, err := held(seq, all[seq-1].MessageID, "5")
		if err != nil || len(page.Messages) != int(min(5, 60-seq)) || page.HasMore != (seq < 55) || len(page.Messages) > 0 && page.Messages[0].ConversationSeq != seq+1 {
			t.Errorf("after %d with its id: %d messages, has_more %t, %v", seq, len(page.Messages), page.HasMore, err)
		}
	}
	for _, seq := range []int64{1, 59, 60, 61, 1 << 62} {
		_, err := held(seq, all[7].MessageID, "5")
		problem := refused(t, err, "position_lost", http.StatusConflict)
		if problem.Head == nil || *problem.Head != 60 {
			t.Errorf("after %d with another id: head %v, want 60", seq, problem.Head)
		}
	}
	if page, err := held(0, all[7].MessageID, "5"); err != nil || len(page.Messages) != 5 { // nothing is held there
		t.Errorf("after 0: %d messages, %v", len(page.Messages), err)
	}

	// A direct conversation has its history too, and it is what the mailbox has.
	direct := alice.send(bob, "directly").Message.ConversationID
	if got := bob.wholeHistory(direct, 0); len(got) != 1 || difference(of(direct, bob.wholeMailbox())[0], got[0]) != "" {
		t.Errorf("direct history %+v", got)
	}
}

// historyOfWhoJoined: who joined later sees from there on, whichever way they ask; who left sees nothing.
func historyOfWhoJoined(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group()
	old := alice.say(id, "before bob")
	alice.say(id, "also before bob")
	if err := alice.AddMembers(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	alice.say(id, "for bob")
	for _, query := range []map[string]int64{{}, {"after_seq": 0}, {"before_seq": 5}, {"before_seq": 6}, {"before_seq": 1}, {"after_seq": 0, "limit": 1}, {"limit": 1}, {"before_seq": 3}} {
		page, err := bob.history(id, query)
		if err != nil {
			t.Fatalf("%v: %v", query, err)
		}
		for _, m := range page.Messages {
			if m.ConversationSeq < 4 {
				t.Errorf("%v: bob sees %d of before", query, m.ConversationSeq)
			}
		}
		if _, both := query["limit"]; !both && query["before_seq"] != 1 && query["before_seq"] != 3 && page.HasMore {
			t.Errorf("%v: has_more, but there is nothing else for bob", query)
		}
		if page.Head != 5 {
			t.Errorf("%v: head %d, want 5", query, page.Head)
		}
	}
	if got := bob.wholeHistory(id, 3); len(got) != 2 {
		t.Errorf("bob reads %d messages, want 2", len(got))
	}
	// What he can't see he can't point at.
	draft := client.TextIn(id, uuid.NewString(), "what did you say?")
	draft.ReplyTo = old.Message.MessageID
	_, err := bob.Send(within(t, patience), draft)
	refused(t, err, "", http.StatusNotFound)
	_, err = bob.Recall(within(t, patience), old.Message.MessageID)
	refused(t, err, "", http.StatusNotFound)
}

// historyOpened: a group's owner opens its past to who joined later, and closes it again.
func historyOpened(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group()
	old := alice.say(id, "before bob")
	alice.say(id, "also before bob")
	if err := alice.AddMembers(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	alice.say(id, "for bob")
	if c := bob.conversation(id); c.History != "joined" || c.Unread != 2 {
		t.Fatalf("before: history %q, unread %d; want joined, 2", c.History, c.Unread)
	}
	refused(t, lastChange(bob.ChangeGroup(within(t, patience), id, map[string]any{"history": "all"})), "forbidden", http.StatusForbidden)
	refused(t, lastChange(alice.ChangeGroup(within(t, patience), id, map[string]any{"history": "some"})), "", http.StatusUnprocessableEntity)
	opened, err := alice.ChangeGroup(within(t, patience), id, map[string]any{"history": "all"})
	if err != nil || opened.History != "all" {
		t.Fatalf("opened: %+v, %v", opened, err)
	}
	if notice := alice.wantNotice(id, alice, "group_updated"); notice.Body["history"] != "all" {
		t.Errorf("notice %+v, want it to say history", notice)
	}
	again, err := alice.ChangeGroup(within(t, patience), id, map[string]any{"history": "all"})
	if err != nil || again.Head != opened.Head {
		t.Errorf("again: head %d, %v; want no other notice", again.Head, err)
	}

	if got := bob.wholeHistory(id, 0); len(got) != 6 {
		t.Errorf("bob reads %d messages, want 6", len(got))
	}
	page, err := bob.history(id, map[string]int64{"before_seq": 4})
	if err != nil || len(page.Messages) != 3 || page.HasMore {
		t.Errorf("before 4: %+v, %v", page, err)
	}
	if c := bob.conversation(id); c.JoinedSeq != 3 || c.Unread != 3 {
		t.Errorf("joined_seq %d, unread %d; want 3 and what came since: 3", c.JoinedSeq, c.Unread)
	}
	if got := of(id, bob.wholeMailbox()); len(got) != 3 {
		t.Errorf("%d entries, want the 3 that came since", len(got))
	}
	draft := client.TextIn(id, uuid.NewString(), "an old story")
	draft.ReplyTo = old.Message.MessageID
	bob.sendDraft(draft)
	refused(t, lastError(bob.Recall(within(t, patience), old.Message.MessageID)), "forbidden", http.StatusForbidden) // seen, not his

	if _, err := alice.ChangeGroup(within(t, patience), id, map[string]any{"history": "joined"}); err != nil {
		t.Fatal(err)
	}
	if got := bob.wholeHistory(id, 3); len(got) != 5 {
		t.Errorf("bob reads %d messages, want 5", len(got))
	}
	page, err = bob.history(id, map[string]int64{"before_seq": 4})
	if err != nil || len(page.Messages) != 0 {
		t.Errorf("closed, before 4: %+v, %v", page, err)
	}
	draft.ClientMsgID = uuid.NewString()
	_, err = bob.Send(within(t, patience), draft)
	refused(t, err, "", http.StatusNotFound)
	refused(t, lastError(bob.Recall(within(t, patience), old.Message.MessageID)), "", http.StatusNotFound)
}

func lastChange(_ client.Conversation, err error) error { return err }

// conversationList: newest activity first, by cursor, each as its owner sees it.
func conversationList(t *testing.T, s *system) {
	alice := s.user(t)
	empty, err := alice.Conversations(within(t, patience), "", 0)
	if err != nil || empty.Conversations == nil || len(empty.Conversations) != 0 || empty.HasMore {
		t.Fatalf("nothing yet: %+v, %v", empty, err)
	}
	// The last page has all fields too.
	conversation := alice.send(alice, "a note").Message.ConversationID
	for _, path := range []string{"conversations", "users/blocked", "groups/" + string(alice.group()) + "/members", "conversations/" + string(conversation) + "/receipts"} {
		var page map[string]any
		if _, err := alice.Call(within(t, patience), http.MethodGet, "/v1/"+path, nil, &page); err != nil || page["next_cursor"] != "" || page["has_more"] != false {
			t.Errorf("the last page of %s: %v, %v", path, page, err)
		}
	}
	alice = s.user(t)
	peers := s.users(t, 4)
	var order []client.ConversationID
	last := map[client.ConversationID]client.Message{}
	said := func(m client.Message) {
		order = slices.DeleteFunc(order, func(id client.ConversationID) bool { return id == m.ConversationID })
		order = append([]client.ConversationID{m.ConversationID}, order...)
		last[m.ConversationID] = m
	}
	var groups []client.ConversationID
	for i, peer := range peers {
		said(peer.send(alice, "hi").Message)
		groups = append(groups, peer.group(alice))
		said(peer.say(groups[i], "hi all").Message)
	}
	said(alice.say(groups[0], "an answer").Message)
	said(peers[1].send(alice, "once more").Message)

	// Two that were last active in the same millisecond may stand either way: the moments must not rise.
	var listed []client.Conversation
	for cursor := ""; ; {
		page, err := alice.Conversations(within(t, patience), cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, page.Conversations...)
		if cursor = page.NextCursor; !page.HasMore {
			break
		}
		if len(page.Conversations) != 3 {
			t.Fatalf("a page of %d that says has_more", len(page.Conversations))
		}
	}
	if len(listed) != len(order) {
		t.Fatalf("%d conversations, want %d", len(listed), len(order))
	}
	at := map[client.ConversationID]int{}
	for i, c := range listed {
		at[c.ConversationID] = i
		if i > 0 && c.UpdatedAt.After(listed[i-1].UpdatedAt) {
			t.Errorf("conversation %d is newer than the one before", i)
		}
		if c.LastMessage == nil {
			t.Fatalf("conversation %d has no last_message", i)
		}
		if d := difference(last[c.ConversationID], *c.LastMessage); d != "" {
			t.Errorf("last_message (-want +got):\n%s", d)
		}
		if d := alice.conversation(c.ConversationID); d.Unread != c.Unread || d.Head != c.Head {
			t.Errorf("listed %+v, read singly %+v", c, d)
		}
		want := int64(1)
		switch c.ConversationID {
		case last[order[0]].ConversationID, groups[1], groups[2], groups[3]: // two of the peer, or the notice and a message
			want = 2
		case groups[0]: // the notice and one; her own doesn't count
			want = 2
		}
		if c.Unread != want {
			t.Errorf("conversation %d (%s): unread %d, want %d", i, c.Kind, c.Unread, want)
		}
		if direct := c.Kind == "direct"; direct != (c.PeerID != "") || direct && c.MemberCount != 2 {
			t.Errorf("conversation %+v", c)
		}
	}
	for i := 1; i < len(order); i++ {
		newer, older := at[order[i-1]], at[order[i]]
		if newer > older && listed[newer].UpdatedAt != listed[older].UpdatedAt {
			t.Errorf("%s stands at %d, after %s at %d", order[i-1], newer, order[i], older)
		}
	}
	for _, bad := range []string{"x", "bm90IGEgY3Vyc29y", "!!!!"} {
		_, err := alice.Conversations(within(t, patience), bad, 0)
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
}

// reading: the read position moves forward only, never beyond the head, and everybody's devices hear of it.
func reading(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	id := alice.group(bob, carol)
	for range 4 {
		alice.say(id, "read me")
	}
	phone, laptop := alice.openLive("phone"), bob.openLive("laptop")
	wantRead := func(upTo, want int64) {
		t.Helper()
		if got, err := bob.Read(within(t, patience), id, upTo); err != nil || got != want {
			t.Fatalf("read up to %d: %d, %v; want %d", upTo, got, err, want)
		}
	}
	told := func(upTo int64) {
		t.Helper()
		for _, l := range []*line{phone, laptop} {
			l.until("read receipt", func(f client.Frame) bool {
				if f.Type != "receipt" || f.Kind != "read" {
					return false
				}
				if f.UserID != bob.id() || f.ConversationID != id || f.UpTo != upTo || f.At.IsZero() {
					t.Fatalf("got %s, want that bob has read up to %d", f.Raw, upTo)
				}
				return true
			})
		}
	}
	wantRead(0, 0)
	wantRead(2, 2)
	told(2)
	wantRead(1, 2)
	wantRead(2, 2)
	wantRead(1<<40, 5)
	told(5)
	if c := bob.conversation(id); c.Unread != 0 || c.ReadSeq != 5 {
		t.Errorf("bob sees %+v", c)
	}
	bob.say(id, "my own")
	if c := bob.conversation(id); c.Unread != 0 {
		t.Errorf("one's own message is unread: %+v", c)
	}
	alice.say(id, "another")
	if c := bob.conversation(id); c.Unread != 1 {
		t.Errorf("unread %d, want 1", c.Unread)
	}
	_, err := bob.Read(within(t, patience), id, -1)
	refused(t, err, "", http.StatusUnprocessableEntity)

	// Positions of all, by user id. Reading is receiving; an ack is delivery.
	entries := of(id, carol.wholeMailbox())
	carol.ack("phone", 3, 3)
	positions, err := carol.Receipts(within(t, patience), id)
	if err != nil || len(positions) != 3 {
		t.Fatalf("receipts: %+v, %v", positions, err)
	}
	for _, p := range positions {
		switch p.UserID {
		case bob.id():
			if p.ReadSeq != 5 || p.DeliveredSeq < 5 {
				t.Errorf("bob: %+v, want read and delivered 5", p)
			}
		case carol.id():
			if p.ReadSeq != 0 || p.DeliveredSeq != entries[2].ConversationSeq {
				t.Errorf("carol: %+v, want delivered %d", p, entries[2].ConversationSeq)
			}
		case alice.id():
		default:
			t.Errorf("somebody else: %+v", p)
		}
	}
	// Who left gets no receipts any more.
	if err := carol.RemoveMember(within(t, patience), id, carol.id()); err != nil {
		t.Fatal(err)
	}
	tablet := carol.openLive("tablet")
	wantRead(6, 6)
	told(6)
	tablet.none(300*time.Millisecond, "receipt", func(f client.Frame) bool { return f.Type == "receipt" })
}

// unreadRecount: after any history of sends, reads, recalls, leaving and coming back, unread is what a recount gives.
func unreadRecount(t *testing.T, s *system) {
	const steps = 120
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	people := s.users(t, 4)
	alice, others := people[0], people[1:]
	id := alice.group(others...)
	belongs := map[*actor]bool{alice: true}
	for _, one := range others {
		belongs[one] = true
	}
	var own []client.MessageID // of alice
	for range steps {
		one := people[random.IntN(len(people))]
		switch n := random.IntN(10); {
		case !belongs[one]:
			if err := alice.AddMembers(within(t, patience), id, one.id()); err != nil {
				t.Fatal(err)
			}
			belongs[one] = true
		case n < 5:
			sent := one.say(id, "hm")
			if one == alice {
				own = append(own, sent.Message.MessageID)
			}
		case n < 7:
			if _, err := one.Read(within(t, patience), id, random.Int64N(one.conversation(id).Head+1)); err != nil {
				t.Fatal(err)
			}
		case n < 8 && len(own) > 0:
			if _, err := alice.Recall(within(t, patience), own[random.IntN(len(own))]); err != nil {
				t.Fatal(err)
			}
		case n == 9 && one != alice:
			if err := one.RemoveMember(within(t, patience), id, one.id()); err != nil {
				t.Fatal(err)
			}
			belongs[one] = false
		}
		one = people[random.IntN(len(people))]
		if !belongs[one] {
			continue
		}
		c := one.conversation(id)
		recount := int64(0)
		for _, m := range one.wholeHistory(id, c.JoinedSeq) {
			if m.ConversationSeq > c.ReadSeq && m.SenderID != one.id() {
				recount++
			}
		}
		if c.Unread != recount || c.ReadSeq < c.JoinedSeq || c.ReadSeq > c.Head {
			t.Fatalf("unread %d, a recount gives %d: %+v", c.Unread, recount, c)
		}
	}
}

// devices: listed with their positions; a forgotten one is closed, and comes back as new.
func devices(t *testing.T, s *system) {
	alice, bob, _ := filled(t, s, 6)
	bobsPhone := bob.login(s)
	phone, laptop := bobsPhone.openLive("phone"), bob.openLive("laptop")
	bobsPhone.ack("phone", 4, 4)
	list := func() map[string]client.Device {
		t.Helper()
		devices, err := bob.Devices(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		byID := map[string]client.Device{}
		for _, d := range devices {
			byID[d.DeviceID] = d
			if d.LastSeenAt.IsZero() || d.CreatedAt.IsZero() {
				t.Errorf("device %+v", d)
			}
		}
		return byID
	}
	got := list()
	if len(got) != 2 || got["phone"].Acked != 4 || got["phone"].Pending != 2 || !got["phone"].Online || got["laptop"].Acked != 0 || got["laptop"].Pending != 6 {
		t.Fatalf("devices %+v", got)
	}
	if err := bob.Forget(within(t, patience), "phone"); err != nil {
		t.Fatalf("forget: %v", err)
	}
	phone.endsWith(4001)
	laptop.alive()
	if got = list(); len(got) != 1 {
		t.Errorf("devices after forgetting one: %+v", got)
	}
	refused(t, bob.Forget(within(t, patience), "phone"), "", http.StatusNotFound)
	refused(t, alice.Forget(within(t, patience), "laptop"), "", http.StatusNotFound)
	again := bob.open(client.Dial{Device: "phone"})
	if again.hello.Acked != 0 {
		t.Errorf("a forgotten device comes back at %d, want as new", again.hello.Acked)
	}
	again.pushes(1, 6)
}
