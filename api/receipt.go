package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// MemberPosition is how far a member has received and read.
type MemberPosition struct {
	UserID       model.UserID `json:"user_id"`
	DeliveredSeq int64        `json:"delivered_seq"`
	ReadSeq      int64        `json:"read_seq"`
}

type (
	receiptsInput struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		Cursor         Param[model.UserID]         `query:"cursor" doc:"next_cursor of the page before"`
		Limit          int                         `query:"limit" minimum:"1" maximum:"500" default:"500"`
	}
	receiptsOutput struct {
		Body struct {
			Members    []MemberPosition `json:"members" doc:"By user id"`
			NextCursor string           `json:"next_cursor" required:"false" doc:"Empty on the last page"`
			HasMore    bool             `json:"has_more"`
		}
	}
	messageReceiptsInput struct {
		MessageID Param[model.MessageID] `path:"message_id"`
		State     string                 `query:"state" enum:"read,delivered,pending" doc:"Only those who have read it; have received it, read or not; have not received it"`
		Cursor    Param[model.UserID]    `query:"cursor" doc:"next_cursor of the page before"`
		Limit     int                    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	messageReceiptsOutput struct {
		Body struct {
			DeliveredCount int64            `json:"delivered_count" doc:"Who has read it counts too"`
			ReadCount      int64            `json:"read_count"`
			MemberCount    int64            `json:"member_count" doc:"Whom it was for: the members without its sender and without who joined after it"`
			Members        []MemberPosition `json:"members" doc:"By user id"`
			NextCursor     string           `json:"next_cursor" required:"false" doc:"Empty on the last page"`
			HasMore        bool             `json:"has_more"`
		}
	}
)

func positionsOf(members []*model.Member) []MemberPosition {
	list := make([]MemberPosition, len(members))
	for i, m := range members {
		list[i] = MemberPosition{UserID: m.UserID, DeliveredSeq: m.DeliveredSeq, ReadSeq: m.ReadSeq}
	}
	return list
}

// cursorOf names the last of a page when there is more.
func cursorOf(members []*model.Member, more bool) string {
	if !more || len(members) == 0 {
		return ""
	}
	return members[len(members)-1].UserID.String()
}

func (a *API) registerReceipts(h huma.API) {
	route(h, huma.Operation{
		OperationID: "get-receipts", Method: http.MethodGet, Path: "/v1/conversations/{conversation_id}/receipts", Tags: []string{"conversations"},
		Summary: "Who has received and read how far", Description: "403 receipts_off in a large group.",
	}, func(ctx context.Context, in *receiptsInput) (*receiptsOutput, error) {
		members, more, err := a.deps.Conversations.Receipts(ctx, CallerFrom(ctx).UserID, in.ConversationID.ID, in.Cursor.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &receiptsOutput{}
		out.Body.Members, out.Body.NextCursor, out.Body.HasMore = positionsOf(members), cursorOf(members, more), more
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "get-message-receipts", Method: http.MethodGet, Path: "/v1/messages/{message_id}/receipts", Tags: []string{"messages"},
		Summary: "Who has received and read a message", Description: "Computed from the members' positions. 403 receipts_off in a large group.",
	}, func(ctx context.Context, in *messageReceiptsInput) (*messageReceiptsOutput, error) {
		r, err := a.deps.Conversations.MessageReceipts(ctx, CallerFrom(ctx).UserID, in.MessageID.ID, model.ReceiptState(in.State), in.Cursor.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &messageReceiptsOutput{}
		out.Body.DeliveredCount, out.Body.ReadCount, out.Body.MemberCount = r.Delivered, r.Read, r.ReceiptCounts.Members
		out.Body.Members, out.Body.NextCursor, out.Body.HasMore = positionsOf(r.Members), cursorOf(r.Members, r.More), r.More
		return out, nil
	})
}
