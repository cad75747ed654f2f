package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

func hash16(c byte) []byte { return bytes.Repeat([]byte{c}, 16) }

// claim is ClaimSendKeys in a transaction of its own.
func claim(ctx context.Context, s *Store, keys ...SendKey) (owners []SendKey, err error) {
	err = s.Tx(ctx, func(tx *Store) error {
		owners, err = tx.ClaimSendKeys(ctx, keys, now)
		return err
	})
	return owners, err
}

// sendKeys: the first claim owns a key, for good; the same words of another sender
// are another key; case and what looks alike make another key.
func sendKeys(t *testing.T, s *Store) {
	ctx := within(t)
	a, b := newUser(), newUser()
	mine := SendKey{SenderID: a, ClientMsgID: "k", MessageID: newMessageID(), ContentHash: hash16(0)}
	owners, err := claim(ctx, s, mine)
	ok(t, err)
	if len(owners) != 1 || owners[0].MessageID != mine.MessageID || !bytes.Equal(owners[0].ContentHash, hash16(0)) {
		t.Fatalf("a fresh key: owners %+v", owners)
	}

	again := SendKey{SenderID: a, ClientMsgID: "k", MessageID: newMessageID(), ContentHash: hash16(0xff)}
	upper := SendKey{SenderID: a, ClientMsgID: "K", MessageID: newMessageID(), ContentHash: hash16(1)}
	theirs := SendKey{SenderID: b, ClientMsgID: "k", MessageID: newMessageID(), ContentHash: hash16(2)}
	owners, err = claim(ctx, s, upper, again, theirs)
	ok(t, err)
	got := map[string]SendKey{}
	for _, o := range owners {
		got[fmt.Sprint(o.SenderID, o.ClientMsgID)] = o
	}
	want(t, "owners", len(got), 3)
	for _, k := range []SendKey{upper, theirs} {
		want(t, "owner of "+k.ClientMsgID, got[fmt.Sprint(k.SenderID, k.ClientMsgID)].MessageID, k.MessageID)
	}
	first := got[fmt.Sprint(a, "k")]
	want(t, "owner of a repeated key", first.MessageID, mine.MessageID)
	if !bytes.Equal(first.ContentHash, hash16(0)) {
		t.Errorf("the hash of the first send was overwritten with %x", first.ContentHash)
	}

	// More than fit into one statement.
	many := make([]SendKey, 1_201)
	for i := range many {
		many[i] = SendKey{SenderID: a, ClientMsgID: fmt.Sprintf("m%04d", i), MessageID: newMessageID(), ContentHash: hash16(3)}
	}
	for range 2 {
		owners, err = claim(ctx, s, many...)
		ok(t, err)
		want(t, "owners of many", len(owners), len(many))
		byKey := map[string]MessageID{}
		for _, o := range owners {
			byKey[o.ClientMsgID] = o.MessageID
		}
		for i := range many {
			if byKey[many[i].ClientMsgID] != many[i].MessageID {
				t.Fatalf("%s belongs to %d, want %d", many[i].ClientMsgID, byKey[many[i].ClientMsgID], many[i].MessageID)
			}
		}
	}
	found, err := s.SendKeys(ctx, []SendKey{{SenderID: a, ClientMsgID: "never"}})
	ok(t, err)
	want(t, "records of a key that was never sent", len(found), 0)
}

// racingSendKey: the second of two transactions with one key waits for the first and
// then sees whose it is: the first's, or its own when the first failed.
func racingSendKey(t *testing.T, s *Store) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("first fails %t", fails), func(t *testing.T) {
			ctx := within(t)
			sender := newUser()
			key := func() SendKey {
				return SendKey{SenderID: sender, ClientMsgID: "raced", MessageID: newMessageID(), ContentHash: hash16(7)}
			}
			first, second := key(), key()
			var ended atomic.Bool
			var connection atomic.Int64
			claimed := make(chan struct{})
			before := poolOf(t, s).Stats().WaitCount
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error {
				err := s.Tx(ctx, func(tx *Store) error {
					if _, err := tx.ClaimSendKeys(ctx, []SendKey{first}, now); err != nil {
						return err
					}
					close(claimed)
					waits(ctx, t, s, connection.Load, before)
					ended.Store(true)
					if fails {
						return errRefused
					}
					return nil
				})
				if fails && err != nil {
					return nil //nolint:nilerr // the refusal is what was asked for; anything else shows below
				}
				return err
			})
			var owners []SendKey
			group.Go(func() error {
				select {
				case <-claimed:
				case <-ctx.Done():
					return ctx.Err()
				}
				return s.Tx(ctx, func(tx *Store) error {
					id, err := connectionID(ctx, tx)
					if err != nil {
						return err
					}
					connection.Store(id)
					owners, err = tx.ClaimSendKeys(ctx, []SendKey{second}, now)
					if !ended.Load() {
						return fmt.Errorf("did not wait for the other transaction: %+v, %w", owners, err)
					}
					return err
				})
			})
			ok(t, group.Wait())
			owner := first.MessageID
			if fails {
				owner = second.MessageID
			}
			if len(owners) != 1 || owners[0].MessageID != owner {
				t.Errorf("owners %+v, want message %d", owners, owner)
			}
		})
	}
}

// take is TakePlaces, one message in each conversation and one entry for each user, in a transaction of its own.
func take(ctx context.Context, s *Store, keys []SendKey, id ConversationID, users ...UserID) (head ConversationHead, mailboxes map[UserID]int64, err error) {
	counts := make([]UserCount, len(users))
	for i, user := range users {
		counts[i] = UserCount{user, int64(len(keys))}
	}
	err = s.Pipelined(ctx, func(tx *Store) error {
		heads, boxes, err := tx.TakePlaces(ctx, keys, []ConversationCount{{id, int64(len(keys))}}, counts, now)
		head, mailboxes = heads[id], boxes
		return err
	})
	return head, mailboxes, err
}

// takenPlaces: new keys take their places; with one that has an owner nothing is taken, also when others of them are new, and
// what a key says is never SQL.
func takenPlaces(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	key := func(text string) SendKey {
		return SendKey{SenderID: a, ClientMsgID: text, MessageID: newMessageID(), ContentHash: []byte("'; DELETE FROM x")}
	}
	many := make([]SendKey, 0, 1_203)
	for i := range cap(many) - 1 {
		many = append(many, key(fmt.Sprintf("m%04d", i)))
	}
	many = append(many, key(`x');DELETE/**/FROM/**/send_keys;--?`))
	head, boxes, err := take(ctx, s, many, id, a, b)
	ok(t, err)
	want(t, "head", head.Head, 1_203)
	want(t, "version", head.MembersVersion, 1)
	want(t, "a's head", boxes[a], 1_203)
	want(t, "b's head", boxes[b], 1_203)
	found, err := s.SendKeys(ctx, many[len(many)-1:])
	ok(t, err)
	if len(found) != 1 || found[0].MessageID != many[len(many)-1].MessageID || !bytes.Equal(found[0].ContentHash, many[0].ContentHash) {
		t.Errorf("the odd key: %+v", found)
	}
	for _, at := range []int{0, 700, len(many) - 1} {
		again := many[at]
		again.MessageID = newMessageID()
		_, _, err = take(ctx, s, []SendKey{key("new"), again}, id, a, b)
		if !errors.Is(err, ErrKeyTaken) || Unreachable(err) {
			t.Fatalf("key %d again: %v, want ErrKeyTaken", at, err)
		}
	}
	want(t, "keys", number(t, s, "SELECT COUNT(*) FROM send_keys WHERE sender_id = ?", a), 1_203)
	head, boxes, err = take(ctx, s, []SendKey{key("new")}, id, a, b)
	ok(t, err)
	want(t, "head after refused ones", head.Head, 1_204)
	want(t, "b's head after refused ones", boxes[b], 1_204)
	_, _, err = take(ctx, s, []SendKey{key("nowhere")}, newConversation(), a, b)
	wantCode(t, err, CodeNotFound)
	want(t, "keys of nowhere", number(t, s, "SELECT COUNT(*) FROM send_keys WHERE sender_id = ? AND client_msg_id = 'nowhere'", a), 0)
}

// racingPlaces: of many with one new key that come at once, exactly one takes its place.
func racingPlaces(t *testing.T, s *Store) {
	ctx := within(t)
	id, a, b := direct(t, s)
	const rounds, racers = 20, 4
	var won atomic.Int64
	for round := range rounds {
		group, ctx := errgroup.WithContext(ctx)
		for range racers {
			group.Go(func() error {
				_, _, err := take(ctx, s, []SendKey{{SenderID: a, ClientMsgID: fmt.Sprint("r", round), MessageID: newMessageID(), ContentHash: hash16(1)}}, id, a, b)
				if errors.Is(err, ErrKeyTaken) {
					return nil
				}
				won.Add(1)
				return err
			})
		}
		ok(t, group.Wait())
	}
	want(t, "winners", won.Load(), rounds)
	want(t, "head", number(t, s, "SELECT head FROM conversations WHERE id = ?", id), rounds)
}
