package model

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// conversationHeads: racing transactions take contiguous conversation_seqs.
func conversationHeads(t *testing.T, s *Store) {
	ids := make([]ConversationID, 3)
	for i := range ids {
		ids[i], _, _ = direct(t, s)
	}
	var mu sync.Mutex
	taken := map[ConversationID][]int64{}
	group, ctx := errgroup.WithContext(within(t))
	for range 8 {
		group.Go(func() error {
			for range 12 {
				var counts []ConversationCount
				for _, id := range ids {
					if n := rand.Int64N(3); n > 0 {
						counts = append(counts, ConversationCount{id, n})
					}
				}
				var heads map[ConversationID]ConversationHead
				err := s.Tx(ctx, func(tx *Store) (err error) {
					heads, err = tx.AdvanceConversations(ctx, counts, now+1)
					return err
				})
				if err != nil {
					return err
				}
				mu.Lock()
				for _, c := range counts {
					for n := range c.Count {
						taken[c.ID] = append(taken[c.ID], heads[c.ID].Head-n)
					}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	ok(t, group.Wait())
	for _, id := range ids {
		slices.Sort(taken[id])
		for i, seq := range taken[id] {
			if seq != int64(i)+1 {
				t.Fatalf("conversation %d: seq %d at place %d: not contiguous", id, seq, i+1)
			}
		}
		c, err := s.ConversationByID(t.Context(), id)
		ok(t, err)
		want(t, "head", c.Head, int64(len(taken[id])))
		want(t, "members_version is not touched", c.MembersVersion, 1)
		want(t, "updated_at", c.UpdatedAt, now+1)
		want(t, "kind is not touched", c.Kind, Direct)
	}
}

// missingConversation: a message for a conversation that does not exist is refused and
// leaves no row behind, also when it comes among others.
func missingConversation(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	said(t, s, id, a, 1, a, b)
	missing := newConversation()
	for _, list := range [][]ConversationCount{{{missing, 1}}, {{id, 2}, {missing, 1}}} {
		err := s.Tx(ctx, func(tx *Store) error {
			_, err := tx.AdvanceConversations(ctx, list, now)
			return err
		})
		wantCode(t, err, CodeNotFound)
		want(t, "rows of the missing one", number(t, s, "SELECT COUNT(*) FROM conversations WHERE id = ?", missing), 0)
		c, err := s.ConversationByID(ctx, id)
		ok(t, err)
		want(t, "head of the other", c.Head, 1)
	}
	_, err := s.ConversationByID(ctx, missing)
	wantCode(t, err, CodeNotFound)
	_, err = s.DirectConversation(ctx, newUser(), newUser())
	wantCode(t, err, CodeNotFound)
	_, err = s.LoadAudience(ctx, missing)
	wantCode(t, err, CodeNotFound)
}

// oneConversationAPair: of first messages that race, all find one conversation.
func oneConversationAPair(t *testing.T, s *Store) {
	for range 3 {
		a, b := newUser(), newUser()
		var mu sync.Mutex
		found := map[ConversationID]int{}
		group, ctx := errgroup.WithContext(within(t))
		for i := range 8 {
			group.Go(func() error {
				x, y := a, b
				if i%2 == 1 {
					x, y = b, a
				}
				c, err := s.EnsureDirect(ctx, newConversation(), x, y, now)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				found[c.ID]++
				return nil
			})
		}
		ok(t, group.Wait())
		if len(found) != 1 {
			t.Fatalf("conversations of one pair: %v", found)
		}
		c, err := s.DirectConversation(t.Context(), b, a)
		ok(t, err)
		want(t, "found by all", found[c.ID], 8)
		want(t, "peer of a", c.Peer(a), b)
		want(t, "peer of b", c.Peer(b), a)
		want(t, "member_count", c.MemberCount, 2)
		members, err := s.Members(t.Context(), c.ID, 0, 10)
		ok(t, err)
		if len(members) != 2 || members[0].UserID != a || members[1].UserID != b {
			t.Errorf("members %+v", members)
		}
		want(t, "rows of the pair", number(t, s, "SELECT COUNT(*) FROM conversations WHERE low_user_id = ?", a), 1)
	}

	me := newUser()
	note, err := s.EnsureDirect(t.Context(), newConversation(), me, me, now)
	ok(t, err)
	again, err := s.EnsureDirect(t.Context(), newConversation(), me, me, now)
	ok(t, err)
	want(t, "a note to self", again.ID, note.ID)
	want(t, "its members", again.MemberCount, 1)
	want(t, "its peer", again.Peer(me), me)
}

// audiences: who receives and who may send, with blocks, at a version that each change raises.
func audiences(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	load := func() *Audience {
		t.Helper()
		audience, err := s.LoadAudience(ctx, id)
		ok(t, err)
		return audience
	}
	first := load()
	if !slices.Equal(first.Members, []UserID{a, b}) || first.Delivery != DeliveryMailbox || len(first.BlockedBy) != 0 {
		t.Fatalf("audience %+v", first)
	}
	ok(t, first.MaySend(a, 0))
	wantCode(t, first.MaySend(newUser(), 0), CodeNotFound)

	ok(t, s.SetBlock(ctx, id, b, a, true, now))
	ok(t, s.SetBlock(ctx, id, b, a, true, now)) // again
	blocked := load()
	wantCode(t, blocked.MaySend(a, 0), CodeBlocked)
	ok(t, blocked.MaySend(b, 0)) // who blocks may still write
	if blocked.Version <= first.Version {
		t.Errorf("version %d after a block, %d before", blocked.Version, first.Version)
	}

	ok(t, s.SetBlock(ctx, id, b, a, false, now))
	ok(t, s.SetBlock(ctx, id, b, a, false, now)) // again
	free := load()
	ok(t, free.MaySend(a, 0))
	if free.Version <= blocked.Version {
		t.Errorf("version %d after the unblock, %d before", free.Version, blocked.Version)
	}

	ok(t, s.write(ctx).Exec("UPDATE conversations SET dissolved_at = 1 WHERE id = ?", id).Error)
	wantCode(t, load().MaySend(a, 0), CodeNotFound)
}
