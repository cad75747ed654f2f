package model

import (
	"testing"
)

func member(t *testing.T, s *Store, id ConversationID, user UserID) *Member {
	t.Helper()
	m, err := s.MemberOf(t.Context(), id, user)
	ok(t, err)
	return m
}

// deliveredPositions only rise, and never make a membership.
func deliveredPositions(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	said(t, s, id, a, 9, a, b)
	stranger, left := newUser(), newUser()
	ok(t, s.write(ctx).Exec("INSERT INTO members (conversation_id, user_id, role, left_seq, delivered_seq) VALUES (?,?,'member',4,2)", id, left).Error)
	raise := func(user UserID, seq int64) MemberSeq {
		return MemberSeq{MemberKey{id, user}, seq}
	}
	ok(t, s.RaiseDelivered(ctx, nil))
	ok(t, s.RaiseDelivered(ctx, []MemberSeq{raise(a, 3), raise(b, 5), raise(stranger, 6)}))
	ok(t, s.RaiseDelivered(ctx, []MemberSeq{raise(a, 1), raise(b, 4), raise(stranger, 6), raise(newUser(), 7), raise(newUser(), 8)})) // in one statement
	ok(t, s.RaiseDelivered(ctx, []MemberSeq{raise(a, 4), raise(b, 2)}))
	ok(t, s.RaiseDelivered(ctx, []MemberSeq{{MemberKey{newConversation(), a}, 8}}))
	want(t, "a", member(t, s, id, a).DeliveredSeq, 4)
	want(t, "b", member(t, s, id, b).DeliveredSeq, 5)
	_, err := s.MemberOf(ctx, id, stranger)
	wantCode(t, err, CodeNotFound)
	want(t, "rows of the stranger", number(t, s, "SELECT COUNT(*) FROM members WHERE user_id = ?", stranger), 0)

	_, err = s.MemberOf(ctx, id, left) // who left is no member
	wantCode(t, err, CodeNotFound)
	var ranges []Range
	var entries []Entry
	for _, user := range []UserID{stranger, left} {
		entries = append(entries, Entry{UserID: user, Seq: 1, MessageID: newMessageID(), ConversationID: id, ConversationSeq: 1, SenderID: newUser()})
	}
	ok(t, s.run(ctx, s.insertEntries(entries)...))
	for _, user := range []UserID{b, stranger, left} {
		ranges = append(ranges, Range{user, 0, 9})
	}
	delivered, err := s.WriteAcks(ctx, &AckChanges{Ranges: ranges})
	ok(t, err)
	before := map[UserID]int64{}
	for _, d := range delivered {
		before[d.UserID] = d.Before
	}
	if len(delivered) != 3 || before[b] != 5 || before[stranger] != -1 || before[left] != -1 {
		t.Errorf("delivered %+v", delivered)
	}
	members, err := s.Members(ctx, id, a, 10)
	ok(t, err)
	if len(members) != 1 || members[0].UserID != b {
		t.Errorf("members after a: %+v", members)
	}
}

// readPositions rise up to the head, and take delivered_seq with them.
func readPositions(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	said(t, s, id, a, 5, a, b)
	for _, c := range []struct {
		upTo, read int64
		moved      bool
	}{{3, 3, true}, {3, 3, false}, {1, 3, false}, {-1, 3, false}, {99, 5, true}, {99, 5, false}} {
		before, read, err := s.RaiseRead(ctx, id, b, c.upTo)
		ok(t, err)
		want(t, "read_seq", read, c.read)
		want(t, "moved", read > before, c.moved)
		m := member(t, s, id, b)
		want(t, "stored read_seq", m.ReadSeq, c.read)
		want(t, "stored delivered_seq", m.DeliveredSeq, c.read)
	}
	_, _, err := s.RaiseRead(ctx, id, newUser(), 1)
	wantCode(t, err, CodeNotFound)
}

// views are what the list of conversations shows: newest activity first, without empty
// direct ones, with what is unread.
func views(t *testing.T, s *Store) {
	ctx := within(t)
	me := newUser()
	var ids []ConversationID
	for i := range 4 {
		other := newUser()
		c, err := s.EnsureDirect(ctx, newConversation(), me, other, now)
		ok(t, err)
		ids = append(ids, c.ID)
		if i == 3 {
			break // stays empty
		}
		said(t, s, c.ID, other, 2, me, other)
		said(t, s, c.ID, me, 1, me, other)
		ok(t, s.write(ctx).Exec("UPDATE conversations SET updated_at = ? WHERE id = ?", now+Millis(i%2), c.ID).Error)
	}
	var got []ConversationID
	var cursor ListCursor
	for {
		page, err := s.Views(ctx, me, cursor, nil, 2)
		ok(t, err)
		for _, v := range page {
			got = append(got, v.Conversation.ID)
			want(t, "unread", v.Unread, 2)
			want(t, "head", v.Head, 3)
			want(t, "last message", v.Last.ConversationSeq, 3)
			cursor = ListCursor{v.UpdatedAt, v.Conversation.ID}
		}
		if len(page) < 2 {
			break
		}
	}
	if len(got) != 3 || got[0] != ids[1] || got[1] != ids[2] || got[2] != ids[0] {
		t.Errorf("list %v, want %v %v %v", got, ids[1], ids[2], ids[0])
	}
	if _, _, err := s.RaiseRead(ctx, ids[0], me, 1); err != nil {
		t.Fatal(err)
	}
	one, err := s.Views(ctx, me, ListCursor{}, []ConversationID{ids[0], ids[3]}, 10)
	ok(t, err)
	want(t, "named ones, the empty one too", len(one), 2)
	for _, v := range one {
		if v.Conversation.ID == ids[0] {
			want(t, "unread after reading one", v.Unread, 1)
		} else if v.Last != nil || v.Unread != 0 {
			t.Errorf("the empty one: %+v", v)
		}
	}
	theirs, err := s.Views(ctx, newUser(), ListCursor{}, ids, 10)
	ok(t, err)
	want(t, "a stranger's list", len(theirs), 0)
}
