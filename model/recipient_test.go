package model

import (
	"testing"
)

// messagePlaces are found in mailboxes wherever they are.
func messagePlaces(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	var ids []MessageID
	for range 13 {
		ids = append(ids, said(t, s, id, a, 100, a, b)...)
	}
	minute := int64(60_000)
	ok(t, s.write(ctx).Exec("UPDATE messages SET created_at = created_at + conversation_seq * ? WHERE conversation_id = ?", minute, id).Error)
	heads := func() []MailboxHead {
		list, err := s.MailboxHeads(ctx, []UserID{a, b})
		ok(t, err)
		return list
	}
	place := func(at int) map[UserID]int64 {
		m, err := s.MessageByID(ctx, ids[at-1])
		ok(t, err)
		found, err := s.PlacesOf(ctx, m, heads())
		ok(t, err)
		return found
	}
	for _, at := range []int{1, 2, 399, 650, 799, 800, 801, 1_299, 1_300} {
		found := place(at)
		want(t, "places", len(found), 2)
		want(t, "place of a", found[a], int64(at))
		want(t, "place of b", found[b], int64(at))
	}
	_, err := s.pruneMailbox(ctx, b, 700)
	ok(t, err)
	found := place(650)
	want(t, "pruned", len(found), 1)
	want(t, "kept", found[a], 650)
	want(t, "after what is pruned", place(702)[b], 702)
}

// messageRecipients are all whom a message was for, and nobody else.
func messageRecipients(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	ids := said(t, s, id, a, 5, a, b)
	early, late, later := newUser(), newUser(), newUser()
	ok(t, s.write(ctx).Exec("INSERT INTO members (conversation_id, user_id, role, joined_seq, left_seq) VALUES (?,?,'member',0,2),(?,?,'member',0,3),(?,?,'member',3,0)", id, early, id, late, id, later).Error)
	ok(t, s.RaiseDelivered(ctx, []MemberSeq{{MemberKey{id, b}, 4}}))
	_, _, err := s.RaiseRead(ctx, id, b, 2)
	ok(t, err)
	m, err := s.MessageByID(ctx, ids[2]) // seq 3
	ok(t, err)
	list, err := s.Recipients(ctx, m, 0, 10)
	ok(t, err)
	if len(list) != 2 || list[0].UserID != b || list[0].DeliveredSeq != 4 || list[0].ReadSeq != 2 || list[1].UserID != late {
		t.Errorf("got %+v, want %d and %d", list, b, late)
	}
	page, err := s.Recipients(ctx, m, b, 1)
	ok(t, err)
	want(t, "the next page", len(page), 1)
	counts, err := s.CountRecipients(ctx, m, DeliveryMailbox)
	ok(t, err)
	want(t, "counts", counts, ReceiptCounts{Members: 2, Delivered: 1})
	ok(t, s.write(ctx).Exec("INSERT INTO log_positions (user_id, device_id, conversation_id, acked_seq) VALUES (?,'p',?,3),(?,'q',?,9),(?,'p',?,2)", late, id, late, id, b, id).Error)
	counts, err = s.CountRecipients(ctx, m, DeliveryLog)
	ok(t, err)
	want(t, "counts of a log", counts, ReceiptCounts{Members: 2, Delivered: 1})
	announcementRecipients(t, s)
}

func announcementRecipients(t *testing.T, s *Store) {
	t.Helper()
	ctx := within(t)
	m := &Message{ConversationID: Everyone, ConversationSeq: 7, SenderID: System}
	before, err := s.CountRecipients(ctx, m, DeliveryLog)
	ok(t, err)
	var users []UserID
	for range 4 {
		id := newUser()
		users = append(users, id)
		ok(t, s.CreateUser(ctx, &User{ID: id, Username: "u" + id.String(), Role: RoleUser}))
	}
	reads, acks, late := users[0], users[1], users[2]
	ok(t, s.write(ctx).Exec("DELETE FROM announcement_readers WHERE user_id IN ?", users).Error)
	ok(t, s.write(ctx).Exec("INSERT INTO announcement_readers (user_id, joined_seq, read_seq) VALUES (?,0,9),(?,7,7)", reads, late).Error)
	ok(t, s.write(ctx).Exec("INSERT INTO log_positions (user_id, device_id, conversation_id, acked_seq) VALUES (?,'p',?,7),(?,'p',?,6)", acks, Everyone, users[3], Everyone).Error)
	after, err := s.CountRecipients(ctx, m, DeliveryLog)
	ok(t, err)
	want(t, "counts of an announcement", ReceiptCounts{Members: after.Members - before.Members, Delivered: after.Delivered - before.Delivered, Read: after.Read - before.Read}, ReceiptCounts{Members: 3, Delivered: 2, Read: 1})
	list, err := s.Recipients(ctx, m, reads-1, 2)
	ok(t, err)
	if len(list) != 2 || list[0].UserID != reads || list[0].ReadSeq != 9 || list[1].UserID != acks {
		t.Errorf("recipients of an announcement: %+v", list)
	}
}

// stuckDevices are those with something un-acked, in order.
func stuckDevices(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	first := said(t, s, id, a, 8, a, b)
	key := func(user UserID, id DeviceID) DeviceKey { return DeviceKey{UserID: user, DeviceID: id} }
	future := now + 1e9 // of all devices in the database these were seen last
	ok(t, s.PutDevices(ctx, []Device{{UserID: a, DeviceID: "done", Acked: 8, LastSeenAt: future}, {UserID: a, DeviceID: "old", Acked: 1, LastSeenAt: future}, {UserID: b, DeviceID: "far", Acked: 0, LastSeenAt: future}}))
	want(t, "rows", number(t, s, "SELECT COUNT(*) FROM devices WHERE user_id IN (?,?)", a, b), 3)
	_, err := s.pruneMailbox(ctx, b, 3) // b's device waits for 4 to 8
	ok(t, err)
	keys := []DeviceKey{key(a, "done"), key(a, "old"), key(b, "far"), key(b, "gone")}
	for _, byAge := range []bool{false, true} {
		list, err := s.StuckDevices(ctx, keys, byAge, 10)
		ok(t, err)
		if len(list) != 2 {
			t.Fatalf("got %+v", list)
		}
		want(t, "the first", list[0], StuckDevice{UserID: a, DeviceID: "old", Acked: 1, Head: 8, Lag: 7, Oldest: first[1], LastSeenAt: future})
		want(t, "the second", list[1], StuckDevice{UserID: b, DeviceID: "far", Acked: 0, Head: 8, Lag: 5, Oldest: first[3], LastSeenAt: future})
	}
	all, err := s.StuckDevices(ctx, nil, true, 200)
	ok(t, err)
	if len(all) < 2 {
		t.Errorf("without keys: %+v", all)
	}
	some, err := s.StuckDevices(ctx, []DeviceKey{}, true, 200)
	ok(t, err)
	want(t, "of no devices", len(some), 0)
}
