package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// Conversation is a conversation as the caller sees it.
type Conversation struct {
	ConversationID model.ConversationID `json:"conversation_id"`
	Kind           string               `json:"kind" enum:"direct,group"`
	Name           string               `json:"name"`
	AvatarURL      string               `json:"avatar_url"`
	PeerID         *model.UserID        `json:"peer_id,omitempty" doc:"Direct conversations only"`
	Announcement   string               `json:"announcement"`
	MuteAll        bool                 `json:"mute_all" doc:"Only the owner and admins may write"`
	Everyone       bool                 `json:"everyone,omitempty" doc:"The announcements of this service's operators: all accounts belong to it, nobody is listed in it, writes in it or leaves it"`
	History        string               `json:"history" enum:"joined,all" doc:"Of a group: who joined later sees what came since (joined), or everything"`
	Role           string               `json:"role,omitempty" enum:"owner,admin,member" doc:"Mine in the group; groups only"`
	MemberCount    int64                `json:"member_count"`
	Head           int64                `json:"head" doc:"Its highest conversation_seq"`
	Delivery       string               `json:"delivery" enum:"mailbox,log"`
	LastMessage    lastMessage          `json:"last_message"`
	Unread         int64                `json:"unread" doc:"Messages of others after read_seq"`
	UnreadMentions int64                `json:"unread_mentions" doc:"Those of them that mention me, by name or as all"`
	ReadSeq        int64                `json:"read_seq" doc:"Mine"`
	JoinedSeq      int64                `json:"joined_seq" doc:"I see what is after it, or everything where history is all"`
	Receipts       bool                 `json:"receipts" doc:"Members see how far the others have received and read; off in large groups"`
	Muted          bool                 `json:"muted"`
	Pinned         bool                 `json:"pinned"`
	UpdatedAt      model.Millis         `json:"updated_at"`
}

// ConversationPreferences are what is mine about a conversation; a field that is left
// out stays.
type ConversationPreferences struct {
	Muted  *bool `json:"muted,omitempty" doc:"No notifications"`
	Pinned *bool `json:"pinned,omitempty"`
	Hidden *bool `json:"hidden,omitempty" doc:"Out of the list until its next message"`
}

type (
	conversationPath struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
	}
	conversationOutput struct{ Body Conversation }
	conversationsInput struct {
		Cursor string `query:"cursor" maxLength:"64" doc:"next_cursor of the page before"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	conversationsOutput struct {
		Body struct {
			Conversations []Conversation `json:"conversations" doc:"Newest activity first"`
			NextCursor    string         `json:"next_cursor" required:"false" doc:"Empty on the last page"`
			HasMore       bool           `json:"has_more"`
		}
	}
	historyInput struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		AfterSeq       optionalSeq                 `query:"after_seq" doc:"Ascending from there"`
		AfterID        Param[model.MessageID]      `query:"after_id" doc:"The message_id that the device holds at after_seq"`
		BeforeSeq      optionalSeq                 `query:"before_seq" doc:"Descending from there"`
		Limit          int                         `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	wholeHistoryInput struct { // of who holds nothing
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		AfterSeq       optionalSeq                 `query:"after_seq" doc:"Ascending from there"`
		BeforeSeq      optionalSeq                 `query:"before_seq" doc:"Descending from there"`
		Limit          int                         `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	historyOutput struct {
		Body struct {
			Messages []encodedMessage `json:"messages"`
			Head     int64            `json:"head"`
			HasMore  bool             `json:"has_more"`
		}
	}
	readInput struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		Body           struct {
			UpTo int64 `json:"up_to" minimum:"0" doc:"A conversation_seq"`
		}
	}
	preferInput struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		Body           ConversationPreferences
	}
	readOutput struct {
		Body struct {
			ReadSeq int64 `json:"read_seq"`
		}
	}
)

func (a *API) registerConversations(h huma.API) {
	tags := []string{"conversations"}
	route(h, huma.Operation{
		OperationID: "list-conversations", Method: http.MethodGet, Path: "/v1/conversations", Tags: tags, Summary: "My conversations",
	}, func(ctx context.Context, in *conversationsInput) (*conversationsOutput, error) {
		cursor, err := parseCursor(in.Cursor)
		if err != nil {
			return nil, err
		}
		me := CallerFrom(ctx).UserID
		list, more, err := a.deps.Conversations.List(ctx, me, cursor, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &conversationsOutput{}
		out.Body.Conversations = make([]Conversation, len(list))
		for i, v := range list {
			out.Body.Conversations[i] = conversationOf(me, v)
		}
		if out.Body.HasMore = more; more {
			last := list[len(list)-1]
			out.Body.NextCursor = formatCursor(model.ListCursor{UpdatedAt: last.UpdatedAt, ID: last.Conversation.ID})
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "get-conversation", Method: http.MethodGet, Path: "/v1/conversations/{conversation_id}", Tags: tags, Summary: "One conversation",
	}, func(ctx context.Context, in *conversationPath) (*conversationOutput, error) {
		me := CallerFrom(ctx).UserID
		return conversationOut(me)(a.deps.Conversations.Get(ctx, me, in.ConversationID.ID))
	})
	route(h, huma.Operation{
		OperationID: "get-history", Method: http.MethodGet, Path: "/v1/conversations/{conversation_id}/messages", Tags: tags, Summary: "Its messages",
		Description: "Ascending after after_seq, descending before before_seq, the newest page without either. 409 position_lost when after_id is not the message at after_seq.",
	}, func(ctx context.Context, in *historyInput) (*historyOutput, error) {
		if in.AfterSeq.set != nil && in.BeforeSeq.set != nil {
			return nil, model.Invalid("query.before_seq", "want one of after_seq and before_seq", *in.BeforeSeq.set)
		}
		if in.AfterID.Set && in.AfterSeq.set == nil {
			return nil, model.Invalid("query.after_seq", "after_id needs after_seq", nil)
		}
		me := CallerFrom(ctx).UserID
		list, head, more, err := func() ([]*model.Message, int64, bool, error) {
			if in.AfterID.Set {
				return a.deps.Conversations.HistoryFrom(ctx, me, in.ConversationID.ID, *in.AfterSeq.set, in.AfterID.ID, in.Limit)
			}
			return a.deps.Conversations.History(ctx, me, in.ConversationID.ID, in.AfterSeq.set, in.BeforeSeq.set, in.Limit)
		}()
		if err != nil {
			return nil, err
		}
		out := &historyOutput{}
		out.Body.Messages, out.Body.Head, out.Body.HasMore = make([]encodedMessage, len(list)), head, more
		for i, m := range list {
			out.Body.Messages[i] = encoded(m)
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "read-conversation", Method: http.MethodPost, Path: "/v1/conversations/{conversation_id}/read", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "I have read up to here", Description: "Forward only.",
	}, func(ctx context.Context, in *readInput) (*readOutput, error) {
		readSeq, err := a.deps.Conversations.Read(ctx, CallerFrom(ctx).UserID, in.ConversationID.ID, in.Body.UpTo)
		if err != nil {
			return nil, err
		}
		out := &readOutput{}
		out.Body.ReadSeq = readSeq
		return out, nil
	})
}

func (a *API) registerConversationExtras(h huma.API) {
	tags := []string{"conversations"}
	route(h, huma.Operation{
		OperationID: "prefer-conversation", Method: http.MethodPatch, Path: "/v1/conversations/{conversation_id}", Tags: tags,
		Summary: "Mute, pin or hide it for me",
	}, func(ctx context.Context, in *preferInput) (*conversationOutput, error) {
		me := CallerFrom(ctx).UserID
		return conversationOut(me)(a.deps.Conversations.Prefer(ctx, me, in.ConversationID.ID, model.Preferences(in.Body)))
	})
	route(h, huma.Operation{
		OperationID: "typing", Method: http.MethodPost, Path: "/v1/conversations/{conversation_id}/typing", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "I am writing", Description: "The others get a typing frame; nothing is kept. Large groups are not told.",
	}, func(ctx context.Context, in *conversationPath) (*none, error) {
		return nil, a.deps.Conversations.Typing(ctx, CallerFrom(ctx).UserID, in.ConversationID.ID)
	})
}

func conversationOf(me model.UserID, v *model.View) Conversation {
	c := Conversation{
		ConversationID: v.Conversation.ID, Kind: string(v.Kind), Name: v.Name, AvatarURL: v.AvatarURL, Announcement: v.Announcement, MuteAll: v.MuteAll, Everyone: v.Conversation.ID == model.Everyone, History: v.History, MemberCount: v.MemberCount, Head: v.Head,
		Delivery: string(v.Delivery), LastMessage: lastMessage{encoded(v.Last)}, Unread: v.Unread, UnreadMentions: v.UnreadMentions, ReadSeq: v.ReadSeq, JoinedSeq: v.JoinedSeq, Receipts: v.Receipts, Muted: v.Muted, Pinned: v.Pinned, UpdatedAt: v.UpdatedAt,
	}
	if v.Kind == model.Direct {
		peer := v.Peer(me)
		c.PeerID = &peer
	} else {
		c.Role = v.Role
	}
	return c
}

// A cursor is opaque to clients: the activity and id of the last conversation seen.
func formatCursor(c model.ListCursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", c.UpdatedAt, c.ID))
}

func parseCursor(s string) (c model.ListCursor, err error) {
	if s == "" {
		return c, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		at, id, _ := strings.Cut(string(text), ".")
		millis, atErr := strconv.ParseInt(at, 10, 64)
		c.UpdatedAt = model.Millis(millis)
		c.ID, err = model.ParseID[model.ConversationID](id)
		if err == nil && atErr == nil && millis >= 0 {
			return c, nil
		}
	}
	return model.ListCursor{}, model.Invalid("query.cursor", "is not a next_cursor of this list", s)
}
