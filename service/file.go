package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"ackbox/model"
)

const (
	// fileSniff is how much of a file its type is told by, fileHead how much an image's size is looked for in.
	fileSniff = 512
	fileHead  = 256 << 10
	// fileOrphan is how long a file stays that no message names, fileTidy how long tidying up after a failed upload may take.
	fileOrphan = 24 * time.Hour
	fileTidy   = 5 * time.Second
	// uploads and userUploads bound what is under way on this node, together and of one user.
	uploads     = 256
	userUploads = 4
	// fileRemovals is how many files one run of the job removes in a piece.
	fileRemovals = 100

	maxFileName = 200 // characters
)

// Blobs keep the contents of files. Keys are decimal digits. What cannot be reached is an error of any kind.
type Blobs interface {
	// Put stores size bytes of content, durably when it returns nil, and else perhaps a part; it answers the error of content as it is.
	Put(ctx context.Context, key string, content io.Reader, size int64) error
	// Open reads what Put has stored, which has size bytes; fs.ErrNotExist when it is not there.
	Open(ctx context.Context, key string, size int64) (io.ReadSeekCloser, error)
	// Remove removes what Put has stored, or a part of it; what is not there is no error.
	Remove(ctx context.Context, key string) error
}

// FileIDs give ids that are unique for ever.
type FileIDs interface{ Next() (int64, error) }

// FileOptions is what Files is made of.
type FileOptions struct {
	Store    *model.Store
	IDs      FileIDs
	Blobs    Blobs
	MaxBytes int64    // of one file
	Quota    int64    // of one user's files together, each with model.FileOverhead; 0: no bound
	Types    []string // that are taken, without parameters
	Clock    func() time.Time
	Log      *slog.Logger
}

// Files take uploads, and give them to those who may see them.
type Files struct {
	FileOptions
	mu     sync.Mutex
	byUser map[model.UserID]int // uploads under way
	all    int
}

// NewFiles wires the part.
func NewFiles(o FileOptions) *Files {
	o.Blobs = measuredBlobs{o.Blobs}
	return &Files{FileOptions: o, byUser: map[model.UserID]int{}}
}

// Upload is a file that somebody sends.
type Upload struct {
	Owner       model.UserID
	Name        string // as the client says it, perhaps with a path before it; at most 200 characters
	ContentType string // as the client says it; "" is application/octet-stream
	Size        int64  // of Content
	Content     io.Reader
}

// Upload stores a file. Its content is never in memory as a whole.
//
// Errors: CodeValidation, CodeFileTooLarge, CodeFileRefused (type or content), CodeQuotaExceeded, CodeRateLimited (too many
// uploads at once), CodeUnavailable, and those of the content's Read.
func (f *Files) Upload(ctx context.Context, u Upload) (*model.File, error) {
	file, head, err := f.begin(u)
	if err != nil {
		return nil, err
	}
	leave, err := f.enter(u.Owner)
	if err != nil {
		return nil, err
	}
	defer leave()
	n, err := io.ReadFull(u.Content, head[:min(u.Size, fileSniff)])
	if err != nil {
		return nil, broken(err)
	}
	if err := checkLook(file.Type, head[:n]); err != nil {
		return nil, err
	}
	if err := f.Store.AddFile(ctx, file, file.CreatedAt.Add(fileOrphan), f.Quota); err != nil {
		return nil, err
	}
	content := &upload{rest: u.Content, head: head, got: n, hash: sha256.New()}
	if err := f.store(ctx, file, content); err != nil {
		f.giveUp(ctx, file.ID)
		return nil, err
	}
	return file, nil
}

// begin checks what is known before the content comes.
func (f *Files) begin(u Upload) (*model.File, []byte, error) {
	media, err := mediaType(u.ContentType)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(f.Types, media) {
		return nil, nil, model.NewError(model.CodeFileRefused, "files of the type %s are not taken here", media)
	}
	switch {
	case !utf8.ValidString(u.Name) || utf8.RuneCountInString(u.Name) > maxFileName:
		return nil, nil, model.Invalid("query.name", "want at most 200 characters", nil)
	case u.Size < 1:
		return nil, nil, model.Invalid("header.Content-Length", "want the length of the file, which is not empty", nil)
	case u.Size > f.MaxBytes:
		return nil, nil, model.NewError(model.CodeFileTooLarge, "a file may have %d bytes, this one has %d", f.MaxBytes, u.Size)
	}
	id, err := f.IDs.Next()
	if err != nil {
		return nil, nil, err
	}
	head := int64(fileSniff)
	if slices.Contains(dimensioned, media) {
		head = fileHead
	}
	return &model.File{ID: model.FileID(id), OwnerID: u.Owner, Name: plainFileName(u.Name), Type: media, Size: u.Size, CreatedAt: model.MillisOf(f.Clock())}, make([]byte, min(u.Size, head)), nil
}

// enter counts an upload under way.
func (f *Files) enter(user model.UserID) (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byUser[user] >= userUploads {
		return nil, &model.Error{Code: model.CodeRateLimited, Limit: "uploads", RetryAfter: time.Second, Detail: fmt.Sprintf("%d uploads at a time for this user", userUploads)}
	}
	if f.all >= uploads {
		return nil, &model.Error{Code: model.CodeUnavailable, RetryAfter: time.Second, Detail: "too many uploads are under way"}
	}
	f.byUser[user]++
	f.all++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all--
		if f.byUser[user]--; f.byUser[user] == 0 {
			delete(f.byUser, user)
		}
	}, nil
}

// store takes the content to where it is kept and then says so in the file's row.
func (f *Files) store(ctx context.Context, file *model.File, content *upload) error {
	err := f.Blobs.Put(ctx, file.ID.String(), content, file.Size)
	switch {
	case content.err != nil:
		return broken(content.err)
	case err != nil:
		return filesAway(err)
	case content.given != file.Size:
		return fmt.Errorf("of a file of %d bytes %d were stored", file.Size, content.given)
	}
	file.SHA256 = hex.EncodeToString(content.hash.Sum(nil))
	if file.Width, file.Height, err = dimensions(file.Type, content.head[:content.got], file.Size <= int64(len(content.head))); err != nil {
		return err
	}
	if err := f.Store.FinishFile(ctx, file); err != nil {
		if model.CodeOf(err) == model.CodeNotFound {
			return filesAway(errors.New("the upload took longer than files are kept that nobody names"))
		}
		return err
	}
	return nil
}

// giveUp tidies up after a failed upload: the content first, then the row. What it cannot do is left to RemoveDue.
// After a COMMIT without an answer the file may be ready: then its content stays too.
func (f *Files) giveUp(ctx context.Context, id model.FileID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fileTidy)
	defer cancel()
	mine, err := f.Store.AbandonFile(ctx, id, model.MillisOf(f.Clock()))
	if err == nil && mine {
		err = f.remove(ctx, id)
	}
	if err != nil {
		f.Log.Warn("a failed upload is left to the job", "file", id.String(), "error", err)
	}
}

func (f *Files) remove(ctx context.Context, id model.FileID) error {
	if err := f.Blobs.Remove(ctx, id.String()); err != nil {
		return fmt.Errorf("remove the content of file %s: %w", id, err)
	}
	return f.Store.DeleteFile(ctx, id)
}

// Open gives a file to who may see it; the caller closes the content. CodeNotFound, CodeUnavailable.
func (f *Files) Open(ctx context.Context, me model.UserID, id model.FileID) (*model.File, io.ReadSeekCloser, error) {
	file, err := f.Store.VisibleFile(ctx, me, id)
	if err != nil {
		return nil, nil, err
	}
	content, err := f.Blobs.Open(ctx, id.String(), file.Size)
	if err != nil {
		return nil, nil, filesAway(err)
	}
	return file, content, nil
}

// RemoveDue removes the files that no message has named in their first day, or names any more, and what is left of
// uploads that broke off.
func (f *Files) RemoveDue(ctx context.Context) error {
	var failed []error
	for {
		now := model.MillisOf(f.Clock())
		list, err := f.Store.DueFiles(ctx, now, fileRemovals)
		if err != nil {
			return err
		}
		for _, id := range list { // each is due later from here on, also when it fails
			mine, err := f.Store.BeginRemoval(ctx, id, now)
			if err != nil {
				return err
			}
			if !mine {
				continue
			}
			if err := f.remove(ctx, id); err != nil {
				failed = append(failed, err)
			}
		}
		if len(list) < fileRemovals || len(failed) > 0 {
			return errors.Join(failed...)
		}
	}
}

func filesAway(cause error) error {
	return &model.Error{Code: model.CodeUnavailable, Detail: "the file store does not answer", RetryAfter: 5 * time.Second, Cause: cause}
}

// broken is why the content did not come.
func broken(err error) error {
	var known *model.Error
	if errors.As(err, &known) {
		return err
	}
	return model.NewError(model.CodeInvalidJSON, "the body did not arrive as a whole")
}

// upload is the content on its way: it gives the beginning that was looked at, then the rest, and keeps the hash, the beginning and
// the reader's error.
type upload struct {
	rest  io.Reader
	head  []byte // room for the beginning …
	got   int    // … of which this much was read
	given int64
	hash  interface {
		io.Writer
		Sum(b []byte) []byte
	}
	err error
}

func (u *upload) Read(p []byte) (n int, err error) {
	if u.given < int64(min(u.got, fileSniff)) {
		n = copy(p, u.head[u.given:min(u.got, fileSniff)])
	} else if n, err = u.rest.Read(p); n > 0 && u.got < len(u.head) {
		u.got += copy(u.head[u.got:], p[:n])
	}
	u.given += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		u.err = err
	}
	if _, hashErr := u.hash.Write(p[:n]); hashErr != nil {
		return n, fmt.Errorf("hash: %w", hashErr)
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// plainFileName is the last part of a path, without what would hide or turn its end; "file" when nothing is left.
func plainFileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, name))
	if strings.Trim(name, ". ") == "" {
		return "file"
	}
	return name
}

// mayName is nil, or why a message of this sender may not name the file that it names: CodeNotFound when they do not see
// it, CodeValidation when the body says of it what it is not.
func (m *Messages) mayName(ctx context.Context, msg *model.Message) error {
	id := msg.FileNamed()
	if id == 0 {
		return nil
	}
	file, err := m.store.VisibleFile(ctx, msg.SenderID, id)
	if err != nil {
		return err
	}
	said, err := object("body.body", msg.Body)
	if err != nil {
		return err
	}
	for _, name := range []string{"type", "mime_type"} {
		if text, there := said[name]; there && text != file.Type {
			return model.Invalid("body.body."+name, "is not the file's", text)
		}
	}
	if size, there := said["size"]; there {
		if n, ok := number(size); !ok || n != float64(file.Size) {
			return model.Invalid("body.body.size", "is not the file's", nil)
		}
	}
	if msg.Type == model.TypeImage && !strings.HasPrefix(file.Type, "image/") || msg.Type == model.TypeAudio && !strings.HasPrefix(file.Type, "audio/") || msg.Type == model.TypeVideo && !strings.HasPrefix(file.Type, "video/") {
		return model.Invalid("body.type", "is not what the file is; file takes all", string(msg.Type))
	}
	return nil
}
