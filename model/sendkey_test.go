package model

import (
	"bytes"
	"context"
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
