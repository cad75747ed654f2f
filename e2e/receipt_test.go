package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"ackbox/client"
)

// messageReceipts reads one page of a message's receipts.
func (a *actor) messageReceipts(id client.MessageID, state, cursor string, limit int) client.MessageReceipts {
	a.t.Helper()
	r, err := a.MessageReceipts(within(a.t, patience), id, state, cursor, limit)
	if err != nil {
		a.t.Fatalf("receipts of a message: %v", err)
	}
	return r
}

// wantReceipts checks the counts of a message and who is listed under each state.
func (a *actor) wantReceipts(id client.MessageID, members, delivered, read []*actor) {
	a.t.Helper()
	pending := slices.DeleteFunc(slices.Clone(members), func(one *actor) bool { return slices.Contains(delivered, one) })
	for state, who := range map[string][]*actor{"": members, "delivered": delivered, "read": read, "pending": pending} {
		r := a.messageReceipts(id, state, "", 0)
		if r.MemberCount != int64(len(members)) || r.DeliveredCount != int64(len(delivered)) || r.ReadCount != int64(len(read)) {
			a.t.Errorf("state %q: %d members, %d delivered, %d read; want %d, %d, %d", state, r.MemberCount, r.DeliveredCount, r.ReadCount, len(members), len(delivered), len(read))
		}
		var got []client.UserID
		for _, p := range r.Members {
			got = append(got, p.UserID)
		}
		want := ids(who)
		slices.SortFunc(want, compareIDs)
		if !slices.Equal(got, want) || r.HasMore || r.Members == nil {
			a.t.Errorf("state %q: %v, has_more %t; want %v", state, got, r.HasMore, want)
		}
	}
}

// compareIDs orders ids as numbers.
func compareIDs(a, b client.UserID) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(string(a), string(b))
}

// messageReceipts: who has received and read one message, from the members' positions.
func messageReceipts(t *testing.T, s *system) {
	people := s.users(t, 6)
	alice, bob, carol, dave, late, stranger := people[0], people[1], people[2], people[3], people[4], people[5]
	id := alice.group(bob, carol, dave)
	sent := alice.say(id, "who reads this?").Message
	alice.wantReceipts(sent.MessageID, []*actor{bob, carol, dave}, nil, nil)
	carol.ack("phone", 2, 2)
	if _, err := dave.Read(within(t, patience), id, sent.ConversationSeq); err != nil {
		t.Fatal(err)
	}
	alice.wantReceipts(sent.MessageID, []*actor{bob, carol, dave}, []*actor{carol, dave}, []*actor{dave})
	bob.wantReceipts(sent.MessageID, []*actor{bob, carol, dave}, []*actor{carol, dave}, []*actor{dave})

	// Who joins later is no audience, and does not see it; who leaves counts no more.
	if err := alice.AddMembers(within(t, patience), id, late.id()); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Read(within(t, patience), id, 100); err != nil {
		t.Fatal(err)
	}
	alice.wantReceipts(sent.MessageID, []*actor{bob, carol, dave}, []*actor{carol, dave}, []*actor{dave})
	for _, one := range []*actor{late, stranger} {
		_, err := one.MessageReceipts(within(t, patience), sent.MessageID, "", "", 0)
		refused(t, err, "not_found", http.StatusNotFound)
	}
	if _, err := alice.ChangeGroup(within(t, patience), id, map[string]any{"history": "all"}); err != nil {
		t.Fatal(err)
	}
	late.wantReceipts(sent.MessageID, []*actor{bob, carol, dave}, []*actor{carol, dave}, []*actor{dave})
	if err := carol.RemoveMember(within(t, patience), id, carol.id()); err != nil {
		t.Fatal(err)
	}
	alice.wantReceipts(sent.MessageID, []*actor{bob, dave}, []*actor{dave}, []*actor{dave})
	_, err := carol.MessageReceipts(within(t, patience), sent.MessageID, "", "", 0)
	refused(t, err, "not_found", http.StatusNotFound)
	_, err = alice.MessageReceipts(within(t, patience), sent.MessageID, "seen", "", 0)
	refused(t, err, "", http.StatusUnprocessableEntity)
	_, err = alice.MessageReceipts(within(t, patience), "9007199254740993", "", "", 0)
	refused(t, err, "not_found", http.StatusNotFound)

	// Directly it is for the peer; a note to self is for nobody.
	direct := alice.send(bob, "directly").Message
	alice.wantReceipts(direct.MessageID, []*actor{bob}, nil, nil)
	alice.wantReceipts(alice.send(alice, "to me").Message.MessageID, nil, nil, nil)
}

// receiptPages: positions come by user id and by pages, of a conversation and of a message.
func receiptPages(t *testing.T, s *system) {
	people := s.users(t, 5)
	alice := people[0]
	id := alice.group(people[1:]...)
	sent := alice.say(id, "many of you").Message
	want := ids(people)
	slices.SortFunc(want, compareIDs)
	var listed []client.UserID
	for cursor := ""; ; {
		page, err := alice.ReceiptPage(within(t, patience), id, cursor, 2)
		if err != nil || len(page.Members) == 0 || len(page.Members) > 2 {
			t.Fatalf("page after %q: %+v, %v", cursor, page, err)
		}
		for _, p := range page.Members {
			listed = append(listed, p.UserID)
		}
		if cursor = page.NextCursor; (cursor != "") != page.HasMore {
			t.Fatalf("page %+v", page)
		}
		if !page.HasMore {
			break
		}
	}
	if !slices.Equal(listed, want) {
		t.Errorf("listed %v, want %v", listed, want)
	}
	listed = nil
	for cursor := ""; ; {
		page := alice.messageReceipts(sent.MessageID, "pending", cursor, 3)
		for _, p := range page.Members {
			listed = append(listed, p.UserID)
		}
		if cursor = page.NextCursor; !page.HasMore {
			break
		}
		if len(page.Members) != 3 {
			t.Fatalf("a page of %d that says has_more", len(page.Members))
		}
	}
	want = slices.DeleteFunc(want, func(id client.UserID) bool { return id == alice.id() })
	if !slices.Equal(listed, want) {
		t.Errorf("listed %v, want %v", listed, want)
	}
	for _, limit := range []int{-1, 501} {
		_, err := alice.ReceiptPage(within(t, patience), id, "", limit)
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
	_, err := alice.ReceiptPage(within(t, patience), id, "x", 0)
	refused(t, err, "", http.StatusUnprocessableEntity)
}

// receiptsOff: a group above the limit has no receipts, by call and by frame.
func receiptsOff(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_RECEIPTS_MAX_MEMBERS=2")
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	small := alice.group(bob)
	large := alice.group(bob, carol)
	for id, want := range map[client.ConversationID]bool{small: true, large: false} {
		if c := alice.conversation(id); c.Receipts != want {
			t.Errorf("a group of %d: receipts %t, want %t", c.MemberCount, c.Receipts, want)
		}
	}
	page, err := alice.Conversations(within(t, patience), "", 0)
	if err != nil || len(page.Conversations) != 2 {
		t.Fatalf("list: %+v, %v", page, err)
	}
	for _, c := range page.Conversations {
		if c.Receipts != (c.ConversationID == small) {
			t.Errorf("listed: receipts %t of %d members", c.Receipts, c.MemberCount)
		}
	}
	sent := alice.say(large, "hello")
	_, err = alice.Receipts(within(t, patience), large)
	if p := refused(t, err, "receipts_off", http.StatusForbidden); !strings.Contains(p.Detail, "2") {
		t.Errorf("detail %q does not name the limit", p.Detail)
	}
	_, err = alice.MessageReceipts(within(t, patience), sent.Message.MessageID, "", "", 0)
	refused(t, err, "receipts_off", http.StatusForbidden)
	stranger := s.user(t)
	_, err = stranger.Receipts(within(t, patience), large)
	refused(t, err, "not_found", http.StatusNotFound)

	// Frames: the read mark reaches bob's other device and nobody else, a delivery nobody. What follows in the small
	// group is told, and comes after.
	phone, laptop := alice.openLive("phone"), bob.openLive("laptop")
	alice.say(small, "hello")
	bob.ack("tablet", 4, 4)
	if _, err := bob.Read(within(t, patience), large, 2); err != nil {
		t.Fatal(err)
	}
	laptop.until("bob's own read mark", func(f client.Frame) bool {
		return f.Type == "receipt" && f.Kind == "read" && f.ConversationID == large && f.UserID == bob.id() && f.UpTo == 2
	})
	if _, err := bob.Read(within(t, patience), small, 2); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	phone.until("both receipts of the small group", func(f client.Frame) bool {
		if f.Type != "receipt" {
			return false
		}
		if f.ConversationID != small {
			t.Fatalf("got %s of the large group", f.Raw)
		}
		kinds[f.Kind] = true
		return kinds["read"] && kinds["delivered"]
	})

	// It shrinks: receipts are back, as positions were kept all the time.
	if err := carol.RemoveMember(within(t, patience), large, carol.id()); err != nil {
		t.Fatal(err)
	}
	alice.wantReceipts(sent.Message.MessageID, []*actor{bob}, []*actor{bob}, []*actor{bob})
	if c := alice.conversation(large); !c.Receipts {
		t.Error("receipts are still off")
	}
	direct := alice.send(bob, "directly").Message
	if c := alice.conversation(direct.ConversationID); !c.Receipts {
		t.Error("a direct conversation has no receipts")
	}
}
