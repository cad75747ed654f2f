package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// readers is how many accounts are read at a time.
const readers = 4

// Read reads, by REST, the mailboxes of the accounts and the conversations that they are in. Each conversation is read
// as the member who has been there longest. What isn't answered is asked for again, on the nodes in turn, a few times.
func (c *Cluster) Read(ctx context.Context, accounts []*Account) (Tables, error) {
	boxes := make([]Mailbox, len(accounts))
	lists := make([][]client.Conversation, len(accounts))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, a := range accounts {
		group.Go(func() (err error) {
			if boxes[i], err = a.mailbox(groupCtx, i); err != nil {
				return fmt.Errorf("read the mailbox of %s: %w", a.who.Username, err)
			}
			if lists[i], err = a.conversations(groupCtx, i); err != nil {
				return fmt.Errorf("list the conversations of %s: %w", a.who.Username, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Tables{}, err
	}
	tables := Tables{map[client.ConversationID]Conversation{}, map[client.UserID]Mailbox{}}
	type view struct {
		of     client.Conversation
		reader int
	}
	eldest := map[client.ConversationID]view{}
	for i, a := range accounts {
		tables.Mailboxes[a.ID()] = boxes[i]
		for _, conversation := range lists[i] {
			if best, ok := eldest[conversation.ConversationID]; !ok || conversation.JoinedSeq < best.of.JoinedSeq {
				eldest[conversation.ConversationID] = view{conversation, i}
			}
		}
	}
	for id, v := range eldest {
		table, err := accounts[v.reader].conversation(ctx, v.reader, v.of)
		if err != nil {
			return Tables{}, fmt.Errorf("read conversation %s: %w", id, err)
		}
		tables.Conversations[id] = table
	}
	return tables, nil
}

// ask asks for something that only reads until there is an answer.
func (a *Account) ask(ctx context.Context, node int, do func(*client.Session) error) error {
	for n := 0; ; n++ {
		session, err := a.at(ctx, node+n)
		if err == nil {
			if err = do(session); err == nil {
				return nil
			}
		}
		if signedOut(err) {
			a.spent(session.AccessToken)
		} else if endOf(err) == Fail && !limited(err) {
			return err
		}
		if n >= signInTries {
			return err
		}
		if waited := wait(ctx, max(jitter(n), retryAfter(err))); waited != nil {
			return errors.Join(err, waited)
		}
	}
}

func (a *Account) mailbox(ctx context.Context, node int) (Mailbox, error) {
	var box Mailbox
	for more := true; more; {
		after := box.Floor
		if n := len(box.Entries); n > 0 {
			after = box.Entries[n-1].Seq
		} else if after > 0 {
			after--
		}
		err := a.ask(ctx, node, func(s *client.Session) error {
			page, err := s.Mailbox(ctx, after, pageLimit)
			if err != nil {
				return err
			}
			for _, e := range page.Entries {
				box.Entries = append(box.Entries, See(e.Seq, e.Message))
			}
			box.Head, more = page.Head, page.HasMore
			if len(box.Entries) == len(page.Entries) {
				box.Floor = page.Floor
			}
			return nil
		})
		if err != nil {
			return box, err
		}
	}
	return box, nil
}

func (a *Account) conversations(ctx context.Context, node int) ([]client.Conversation, error) {
	var all []client.Conversation
	cursor := ""
	for more := true; more; {
		err := a.ask(ctx, node, func(s *client.Session) error {
			page, err := s.Conversations(ctx, cursor, pageLimit)
			if err != nil {
				return err
			}
			all = append(all, page.Conversations...)
			cursor, more = page.NextCursor, page.HasMore && page.NextCursor != ""
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a *Account) conversation(ctx context.Context, node int, of client.Conversation) (Conversation, error) {
	table := Conversation{Kind: of.Kind, Delivery: of.Delivery, From: 1}
	if of.Kind == "direct" {
		table.Users = []client.UserID{a.ID(), of.PeerID}
	}
	after := int64(0)
	for more := true; more; {
		err := a.ask(ctx, node, func(s *client.Session) error {
			page, err := s.History(ctx, of.ConversationID, url.Values{"after_seq": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(pageLimit)}})
			if err != nil {
				return err
			}
			for _, m := range page.Messages {
				table.Messages = append(table.Messages, See(0, m))
				after = m.ConversationSeq
			}
			table.Head, more = page.Head, page.HasMore && len(page.Messages) > 0
			return nil
		})
		if err != nil {
			return table, err
		}
	}
	if of.JoinedSeq > 1 && len(table.Messages) > 0 {
		table.From = table.Messages[0].ConversationSeq
	}
	err := a.ask(ctx, node, func(s *client.Session) error {
		list, err := s.Receipts(ctx, of.ConversationID)
		if p, ok := client.AsProblem(err); ok && p.Code == "receipts_off" {
			return nil
		}
		table.Positions = positions(list)
		return err
	})
	return table, err
}
