package e2e

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// cursorReader: while senders race to one mailbox, whoever reads it by a cursor, or by its pushes, never finds a hole, and
// what was read never changes: nothing appears late.
func cursorReader(t *testing.T, s *system) {
	raceToOneMailbox(t, []*system{s}, 8, 40)
}

// raceToOneMailbox runs the senders on the nodes in turn and reads on the last one.
func raceToOneMailbox(t *testing.T, nodes []*system, senders, each int) {
	t.Helper()
	reading := nodes[len(nodes)-1]
	bob := reading.user(t)
	total := int64(senders * each)
	laptop := bob.openLive("laptop")

	group, ctx := errgroup.WithContext(within(t, 3*patience))
	for i := range senders {
		sender := nodes[i%len(nodes)].user(t)
		group.Go(func() error {
			for n := range each {
				if _, err := sender.Send(ctx, client.Text(bob.id(), uuid.NewString(), fmt.Sprintf("%d of %d", n, i))); err != nil {
					return fmt.Errorf("sender %d: %w", i, err)
				}
			}
			return nil
		})
	}
	read := make([]client.MessageID, 0, total)
	group.Go(func() error {
		for int64(len(read)) < total {
			after := int64(len(read))
			page, err := bob.Mailbox(ctx, after, 7)
			if err != nil {
				return fmt.Errorf("read after %d: %w", after, err)
			}
			for _, entry := range page.Entries {
				if want := int64(len(read)) + 1; entry.Seq != want {
					return fmt.Errorf("read after %d: seq %d where %d should be: a hole", after, entry.Seq, want)
				}
				read = append(read, entry.Message.MessageID)
			}
			if page.Head < int64(len(read)) {
				return fmt.Errorf("read after %d: %d entries, and the head is %d", after, len(page.Entries), page.Head)
			}
		}
		return nil
	})
	pushed := make([]client.MessageID, 0, total)
	group.Go(func() error {
		for int64(len(pushed)) < total {
			frame, err := laptop.Next(ctx)
			if err != nil {
				return fmt.Errorf("after push %d: %w", len(pushed), err)
			}
			seq := int64(len(pushed))
			switch {
			case frame.Type == "message" && frame.Seq == seq+1:
				pushed = append(pushed, frame.Message.MessageID)
			case frame.Type == "message" && frame.Seq > seq+1:
				return fmt.Errorf("push %d after %d: a hole", frame.Seq, seq)
			case frame.Type == "behind":
				if pushed, err = catchUp(ctx, bob.Session, "laptop", pushed); err != nil {
					return err
				}
			}
			if n := int64(len(pushed)); n > seq && (n%20 == 0 || n == total || n > seq+1) {
				if _, err := bob.AckUpTo(ctx, "laptop", n); err != nil {
					return fmt.Errorf("ack %d: %w", n, err)
				}
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}

	conversationHeads := map[client.ConversationID]int64{}
	final := bob.wholeMailbox()
	if int64(len(final)) != total {
		t.Fatalf("%d entries, want %d", len(final), total)
	}
	for i, entry := range final {
		if entry.Message.MessageID != read[i] {
			t.Fatalf("entry %d is %s, but the cursor reader had read %s there", entry.Seq, entry.Message.MessageID, read[i])
		}
		if entry.Message.MessageID != pushed[i] {
			t.Fatalf("entry %d is %s, but %s was pushed there", entry.Seq, entry.Message.MessageID, pushed[i])
		}
		conversation := entry.Message.ConversationID
		if conversationHeads[conversation]++; entry.Message.ConversationSeq != conversationHeads[conversation] {
			t.Fatalf("entry %d is %d of its conversation, want %d", entry.Seq, entry.Message.ConversationSeq, conversationHeads[conversation])
		}
	}
}

// pageAndHead: a page that ends below its own head says has_more, also while messages come in: a device that was told
// behind pulls until has_more is false, and pushes resume when it has acked up to head.
func pageAndHead(t *testing.T, s *system) {
	const senders, each = 4, 40
	bob := s.user(t)
	group, ctx := errgroup.WithContext(within(t, 3*patience))
	for i := range senders {
		sender := s.user(t)
		group.Go(func() error {
			for n := range each {
				if _, err := sender.Send(ctx, client.Text(bob.id(), uuid.NewString(), fmt.Sprintf("%d of %d", n, i))); err != nil {
					return fmt.Errorf("sender %d: %w", i, err)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for held := int64(0); held < senders*each; {
			page, err := bob.Sync(ctx, client.Pull{DeviceID: "laptop", After: held, Limit: 7})
			if err != nil {
				return fmt.Errorf("sync after %d: %w", held, err)
			}
			after := held
			held += int64(len(page.Entries))
			if page.HasMore != (page.Head > held) {
				return fmt.Errorf("sync after %d: %d entries, head %d, but has_more %t", after, len(page.Entries), page.Head, page.HasMore)
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
