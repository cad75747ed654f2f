package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

type (
	findMessagesInput struct {
		Cursor         optionalSeq                 `query:"cursor" doc:"next_cursor of the page before"`
		Limit          int                         `query:"limit" minimum:"1" maximum:"200" default:"50"`
		SenderID       Param[model.UserID]         `query:"sender_id" doc:"With client_msg_id"`
		ClientMsgID    string                      `query:"client_msg_id" maxLength:"64" doc:"The sender's idempotency key"`
		ClientMessage  string                      `query:"client_message_id" maxLength:"64" doc:"The same"`
		ConversationID Param[model.ConversationID] `query:"conversation_id" doc:"Instead of sender_id and client_msg_id"`
		From           int64                       `query:"from" minimum:"0" doc:"Unix ms"`
		To             int64                       `query:"to" minimum:"0" doc:"Unix ms; messages before it"`
	}
	findMessagesOutput struct {
		Body struct {
			Messages   []encodedMessage `json:"messages" doc:"The newest first"`
			NextCursor string           `json:"next_cursor"`
			HasMore    bool             `json:"has_more"`
		}
	}
	removeInput struct {
		MessageID Param[model.MessageID] `path:"message_id"`
		Body      *struct {
			Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the audit log; nobody else sees it"`
		}
	}
)

func (a *API) registerAdminMessages(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-find-messages", Method: http.MethodGet, Path: "/v1/admin/messages", Summary: "Find messages",
		Description: "By sender_id and client_msg_id, or by conversation_id and, if given, from and to. Audited: it shows what people wrote.",
	}, action{"message.search", "", ""}, a.findMessages)
	adminRoute(a, huma.Operation{
		OperationID: "admin-get-message", Method: http.MethodGet, Path: "/v1/admin/messages/{message_id}", Summary: "Any message", Description: "Audited: it shows what people wrote.",
	}, action{"message.read", "message", "message_id"}, func(ctx context.Context, in *messagePath) (*messageOutput, error) {
		return messageOut(a.deps.Moderation.Message(ctx, in.MessageID.ID))
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-remove-message", Method: http.MethodPost, Path: "/v1/admin/messages/{message_id}/remove", DefaultStatus: http.StatusOK,
		Summary: "Take any message back", Description: "A recall at any time, in every kind of conversation; its sender_id is the service's own. Again: the same answer. What the server wrote stays: 403.",
	}, action{"message.remove", "message", "message_id"}, func(ctx context.Context, in *removeInput) (*messageOutput, error) {
		if in.Body != nil {
			audit(ctx, "reason", in.Body.Reason)
		}
		return messageOut(a.deps.Moderation.RemoveMessage(ctx, in.MessageID.ID))
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-get-history", Method: http.MethodGet, Path: "/v1/admin/conversations/{conversation_id}/messages", Summary: "The messages of any conversation",
		Description: "Ascending after after_seq, descending before before_seq, the newest page without either; of dissolved groups too. Audited: it shows what people wrote.",
	}, action{"conversation.read", "conversation", "conversation_id"}, func(ctx context.Context, in *wholeHistoryInput) (*historyOutput, error) {
		after, before := in.AfterSeq.set, in.BeforeSeq.set
		if after != nil && before != nil {
			return nil, model.Invalid("query.before_seq", "want one of after_seq and before_seq", *before)
		}
		if after != nil {
			audit(ctx, "after_seq", *after)
		}
		if before != nil {
			audit(ctx, "before_seq", *before)
		}
		audit(ctx, "limit", in.Limit)
		list, head, more, err := a.deps.Moderation.History(ctx, in.ConversationID.ID, after, before, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &historyOutput{}
		out.Body.Messages, out.Body.Head, out.Body.HasMore = encodedAll(list), head, more
		return out, nil
	})
}

func (a *API) findMessages(ctx context.Context, in *findMessagesInput) (*findMessagesOutput, error) {
	key := in.ClientMsgID
	if key == "" {
		key = in.ClientMessage
	}
	out := &findMessagesOutput{}
	out.Body.Messages = []encodedMessage{}
	switch {
	case in.ConversationID.Set && !in.SenderID.Set && key == "":
		auditTarget(ctx, in.ConversationID.ID.String())
		for name, value := range map[string]int64{"from": in.From, "to": in.To} {
			if value != 0 {
				audit(ctx, name, value)
			}
		}
		before := int64(0)
		if in.Cursor.set != nil {
			before = max(1, *in.Cursor.set)
		}
		list, more, err := a.deps.Moderation.Between(ctx, in.ConversationID.ID, model.Millis(in.From), model.Millis(in.To), before, in.Limit)
		if err != nil {
			return nil, err
		}
		out.Body.Messages = encodedAll(list)
		if out.Body.HasMore = more; more {
			out.Body.NextCursor = seqText(list[len(list)-1].ConversationSeq)
		}
		return out, nil
	case in.SenderID.Set && key != "" && !in.ConversationID.Set:
		audit(ctx, "sender_id", in.SenderID.ID)
		audit(ctx, "client_msg_id", key)
		m, err := a.deps.Moderation.Sent(ctx, in.SenderID.ID, key)
		if err == nil && m != nil {
			auditTarget(ctx, m.ID.String())
			out.Body.Messages = []encodedMessage{encoded(m)}
		}
		return out, err
	}
	return nil, model.Invalid("query", "want sender_id and client_msg_id, or conversation_id", nil)
}

func messageOut(m *model.Message, err error) (*messageOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &messageOutput{}
	out.Body.Message = encoded(m)
	return out, nil
}

func encodedAll(list []*model.Message) []encodedMessage {
	all := make([]encodedMessage, len(list))
	for i, m := range list {
		all[i] = encoded(m)
	}
	return all
}
