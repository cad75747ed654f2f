package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/service"
)

type (
	announceInput struct {
		Body struct {
			ClientMsgID string `json:"client_msg_id" minLength:"1" maxLength:"64" doc:"The idempotency key: made once per announcement, and repeated on every retry"`
			Text        string `json:"text" minLength:"1" maxLength:"10000"`
		}
	}
	announceOutput struct {
		Status int
		Body   struct {
			Message   encodedMessage `json:"message"`
			Duplicate bool           `json:"duplicate" doc:"An earlier call with this key made the announcement"`
		}
	}
	announcementsInput struct {
		Cursor optionalSeq `query:"cursor" doc:"next_cursor of the page before"`
		Limit  int         `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	announcementsOutput struct {
		Body struct {
			Announcements []encodedMessage `json:"announcements" doc:"The newest first; those that were taken back have recalled_at"`
			NextCursor    string           `json:"next_cursor"`
			HasMore       bool             `json:"has_more"`
		}
	}
)

func (a *API) registerAnnouncements(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-announce", Method: http.MethodPost, Path: "/v1/admin/announcements", DefaultStatus: http.StatusCreated,
		Summary: "Tell everybody", Description: "201 once it is durable: pushed to who is connected, found by who is away; who registers later sees those that come after. The same key again answers 200 with the first announcement, with another text 422 idempotency_key_reused. Take it back with …/messages/{message_id}/remove.",
	}, action{"announcement.publish", "message", ""}, func(ctx context.Context, in *announceInput) (*announceOutput, error) {
		sent, err := a.deps.Announcements.Publish(ctx, in.Body.ClientMsgID, in.Body.Text)
		if err != nil {
			return nil, err
		}
		return announced(ctx, sent), nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-announcements", Method: http.MethodGet, Path: "/v1/admin/announcements", Summary: "What everybody was told",
	}, read, func(ctx context.Context, in *announcementsInput) (*announcementsOutput, error) {
		before := int64(0)
		if in.Cursor.set != nil {
			before = max(1, *in.Cursor.set)
		}
		list, more, err := a.deps.Announcements.List(ctx, before, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &announcementsOutput{}
		out.Body.Announcements = encodedAll(list)
		if out.Body.HasMore = more; more {
			out.Body.NextCursor = seqText(list[len(list)-1].ConversationSeq)
		}
		return out, nil
	})
}

func announced(ctx context.Context, sent service.Sent) *announceOutput {
	auditTarget(ctx, sent.Message.ID.String())
	out := &announceOutput{Status: http.StatusCreated}
	if sent.Duplicate {
		out.Status = http.StatusOK
		audit(ctx, "duplicate", true)
	}
	out.Body.Message, out.Body.Duplicate = sent.JSON, sent.Duplicate
	return out
}

// seqText is a cursor that is a conversation_seq.
func seqText(seq int64) string { return strconv.FormatInt(seq, 10) }
