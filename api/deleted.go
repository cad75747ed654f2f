package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// Deletion is a message that the caller has deleted for themselves.
type Deletion struct {
	ID              model.DeletionID     `json:"id" doc:"Rises with each deletion"`
	ConversationID  model.ConversationID `json:"conversation_id"`
	MessageID       model.MessageID      `json:"message_id"`
	ConversationSeq int64                `json:"conversation_seq"`
}

type (
	deletedInput struct {
		After Param[model.DeletionID] `query:"after" doc:"The last id that the device has"`
		Limit int                     `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	deletedOutput struct {
		Body struct {
			Deleted []Deletion `json:"deleted" doc:"In the order of their deletion"`
			HasMore bool       `json:"has_more"`
		}
	}
)

func (a *API) registerDeletions(h huma.API) {
	tags := []string{"messages"}
	route(h, huma.Operation{
		OperationID: "delete-message", Method: http.MethodDelete, Path: "/v1/messages/{message_id}", Tags: tags,
		Summary: "Delete a message for me", Description: "On all my devices, which get a deleted frame; the others keep it. Repeating changes nothing.",
	}, func(ctx context.Context, in *messagePath) (*none, error) {
		return nil, a.deps.Conversations.Delete(ctx, CallerFrom(ctx).UserID, in.MessageID.ID)
	})
	route(h, huma.Operation{
		OperationID: "list-deleted", Method: http.MethodGet, Path: "/v1/messages/deleted", Tags: tags,
		Summary: "What I have deleted for me", Description: "For a device that was offline: what was deleted after the last id that it has.",
	}, func(ctx context.Context, in *deletedInput) (*deletedOutput, error) {
		list, more, err := a.deps.Conversations.Deletions(ctx, CallerFrom(ctx).UserID, in.After.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &deletedOutput{}
		out.Body.Deleted, out.Body.HasMore = make([]Deletion, len(list)), more
		for i, d := range list {
			out.Body.Deleted[i] = Deletion{ID: d.ID, ConversationID: d.ConversationID, MessageID: d.MessageID, ConversationSeq: d.ConversationSeq}
		}
		return out, nil
	})
}
