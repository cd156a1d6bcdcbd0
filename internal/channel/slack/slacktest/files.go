package slacktest

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxFile is how long a file may be here; Slack takes 1 GB.
const maxFile = 64 << 20

// File is a file that was shared.
type File struct {
	ID, Name, Title, Type string // Type is that of MIME
	Body                  []byte
}

type file struct {
	id, name, title, kind, user string
	subtype                     string
	length                      int
	body                        []byte
	uploaded, done              bool
	at                          int64
	url                         string
}

func (f *file) seen() File { return File{f.id, f.name, f.title, f.kind, slices.Clone(f.body)} }

func (f *file) json() object {
	out := object{
		"id": f.id, "created": f.at, "timestamp": f.at, "name": f.name, "title": f.title, "mimetype": f.kind, "filetype": strings.TrimPrefix(path.Ext(f.name), "."), "user": f.user, "user_team": Team,
		"editable": false, "size": len(f.body), "mode": "hosted", "is_external": false, "is_public": true, "url_private": f.url, "url_private_download": f.url + "?download=1",
		"permalink": "https://slacktest.slack.com/files/" + f.user + "/" + f.id, "file_access": "visible",
	}
	if f.subtype != "" {
		out["subtype"], out["media_display_type"], out["transcription"], out["duration_ms"] = f.subtype, "audio", object{"status": "processing"}, 2000
	}
	return out
}

// newFile makes one. The server is locked.
func (s *Server) newFile(name, user string) *file {
	f := &file{id: s.id("F"), name: name, title: name, user: user, at: s.clock.now().Unix(), kind: mime.TypeByExtension(path.Ext(name))}
	f.url = s.http.URL + "/files-pri/" + Team + "-" + f.id
	s.files[f.id] = f
	return f
}

// SayAudio has a person record a clip: a message with a file and no text.
func (s *Server) SayAudio(user, channel, thread string, ogg []byte) (messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.newFile("audio_message.m4a", user)
	f.kind = "audio/mp4"
	switch {
	case bytes.HasPrefix(ogg, []byte("OggS")):
		f.name, f.title, f.kind = "audio_message.ogg", "audio_message.ogg", "audio/ogg"
	case bytes.HasPrefix(ogg, []byte("RIFF")):
		f.name, f.title, f.kind = "audio_message.wav", "audio_message.wav", "audio/wav"
	case bytes.HasPrefix(ogg, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		f.name, f.title, f.kind = "audio_message.webm", "audio_message.webm", "audio/webm"
	}
	f.subtype, f.body, f.uploaded, f.done = "slack_audio", ogg, true, true
	return s.say(user, channel, thread, &message{files: []*file{f}, subtype: "file_share"})
}

func (s *Server) uploadURL(a args) (object, error) {
	n, err := strconv.Atoi(a.str("length"))
	switch {
	case a.str("filename") == "":
		return nil, refuse("invalid_arguments", "missing required field: filename")
	case err != nil || n <= 0:
		return nil, refuse("invalid_arguments", "missing required field: length")
	case n > maxFile:
		return nil, refuse("file_upload_size_restricted")
	}
	f := s.newFile(a.str("filename"), BotUser)
	f.length = n
	return object{"upload_url": s.http.URL + "/upload/" + f.id, "file_id": f.id}, nil
}

// upload takes the content of a file, raw or as a form's only file.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	var body []byte
	var err error
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		var parts int
		form, formErr := r.MultipartReader()
		for err = formErr; err == nil; {
			p, next := form.NextPart()
			if err = next; next == nil {
				parts++
				body, err = io.ReadAll(io.LimitReader(p, maxFile+1))
			}
		}
		if parts == 1 && err == io.EOF { //nolint:errorlint // the reader returns it as it is
			err = nil
		}
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxFile+1))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[r.PathValue("id")]
	if f == nil || f.uploaded || err != nil || len(body) != f.length {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.body, f.uploaded = body, true
	if f.kind == "" {
		f.kind = http.DetectContentType(body)
	}
	_, _ = io.WriteString(w, "OK - "+strconv.Itoa(len(body))) // who sent it has gone if this fails
}

func (s *Server) completeUpload(a args) (object, error) {
	v, ok := a.decoded("files")
	list, _ := v.([]any)
	if !ok || len(list) == 0 {
		return nil, refuse("invalid_arguments", "missing required field: files")
	}
	var files []*file
	var out []object
	for _, x := range list {
		o, _ := x.(object)
		id, _ := o["id"].(string)
		f := s.files[id]
		if f == nil || f.done || !f.uploaded {
			return nil, refuse("file_not_found")
		}
		if title, _ := o["title"].(string); title != "" {
			f.title = title
		}
		files = append(files, f)
	}
	for _, f := range files {
		f.done = true
		out = append(out, f.json())
	}
	where := a.str("channel_id")
	if where == "" {
		where = a.str("channels")
	}
	if where == "" {
		return object{"files": out}, nil // nobody sees it
	}
	c := s.channels[where]
	if c == nil || c.private && !slices.Contains(c.members, BotUser) {
		return nil, refuse("channel_not_found")
	}
	if !slices.Contains(c.members, BotUser) {
		return nil, refuse("not_in_channel")
	}
	m := &message{channel: c.id, user: BotUser, thread: a.str("thread_ts"), files: files, subtype: "file_share"}
	if m.thread != "" && s.find(c.id, m.thread) == nil {
		return nil, refuse("invalid_thread_ts")
	}
	delete(a.v, "files")
	if a.has("initial_comment") {
		a.v["text"] = a.v["initial_comment"]
	}
	if err := s.content(a, m); err != nil {
		return nil, err
	}
	s.add(m)
	return object{"files": out}, nil
}

func (s *Server) filesInfo(a args) (object, error) {
	f := s.files[a.str("file")]
	if f == nil || !f.done {
		return nil, refuse("file_not_found")
	}
	return object{"file": f.json(), "comments": []any{}}, nil
}

// download is a private URL. Without the token Slack shows a page to sign in on.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[strings.TrimPrefix(r.PathValue("id"), Team+"-")]
	if r.Header.Get("Authorization") != "Bearer "+s.cfg.BotToken || !s.granted("files:read") {
		http.Redirect(w, r, "/signin", http.StatusFound)
		return
	}
	if f == nil || !f.done {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	_, _ = w.Write(f.body) // who asked has gone if this fails
}
