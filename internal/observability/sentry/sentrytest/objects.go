package sentrytest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The objects are whole, as Sentry gives them: also what firstmate does not use.

func projectObject(id, slug string) map[string]any {
	o := map[string]any{
		"id": id, "slug": slug, "name": slug, "dateCreated": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"firstEvent": nil, "latestRelease": nil, "platform": nil, "team": nil, "firstTransactionEvent": false, "isBookmarked": false, "isMember": true,
	}
	for _, k := range strings.Fields("access environments features platforms teams") {
		o[k] = []any{}
	}
	for _, k := range strings.Fields(`hasAccess hasFeedbacks hasFlags hasInsightsAgentMonitoring hasInsightsAppStart hasInsightsAssets hasInsightsCaches hasInsightsDb
		hasInsightsHttp hasInsightsMCP hasInsightsQueues hasInsightsScreenLoad hasInsightsVitals hasLogs hasMinifiedStackTrace hasMonitors hasNewFeedbacks hasProfiles
		hasReplays hasSessions hasTraceMetrics hasUserReports`) {
		o[k] = false
	}
	return o
}

func issueObject(i Issue, project string) map[string]any {
	o := map[string]any{
		"id": i.ID, "shortId": strings.ToUpper(i.Project) + "-" + i.ID, "title": i.Title, "culprit": nil, "level": cmp.Or(i.Level, "error"),
		"count": strconv.Itoa(i.Events), "userCount": i.Users, "firstSeen": i.First.UTC(), "lastSeen": i.Last.UTC(),
		"permalink": "https://sentry.example/organizations/" + Organization + "/issues/" + i.ID + "/", "status": cmp.Or(i.Status, "unresolved"), "substatus": cmp.Or(i.Substatus, "ongoing"),
		"project":     map[string]any{"id": project, "slug": i.Project, "name": i.Project, "platform": "go"},
		"isUnhandled": i.Unhandled, "issueCategory": "error", "issueType": "error", "type": "error", "metadata": map[string]any{"title": i.Title},
		"derivedData": map[string]any{
			"blocker": "none", "hasOpenFixPr": false, "hasRootCause": false, "isAssigned": false, "lastCompletedAutofixStep": "root_cause", "lastProgressedAt": nil,
			"progress": "no_progress", "status": "open", "viewCount": 0,
		},
		"inbox":  map[string]any{"date_added": i.First.UTC(), "reason": 0, "reason_details": nil},
		"owners": map[string]any{"date_added": i.First.UTC(), "owner": "1", "type": "user"}, "lifetime": map[string]any{}, "stats": map[string]any{}, "statusDetails": map[string]any{},
		"numComments": 0, "sessionCount": 0, "latestEventHasAttachments": false,
	}
	if i.Culprit != "" {
		o["culprit"] = i.Culprit
	}
	for _, k := range strings.Fields("annotations integrationIssues sentryAppIssues") {
		o[k] = []any{}
	}
	for _, k := range strings.Fields("hasSeen isBookmarked isPublic isSubscribed") {
		o[k] = false
	}
	for _, k := range strings.Fields(`assignedTo filtered logger matchingEventEnvironment matchingEventId platform priority priorityLockedAt
		seerAutofixLastTriggered seerExplorerAutofixLastTriggered seerFixabilityScore shareId subscriptionDetails`) {
		o[k] = nil
	}
	return o
}

func eventObject(i Issue, project string) map[string]any {
	var values []any
	for _, x := range i.Exceptions {
		var frames []any
		for _, f := range x.Frames {
			frames = append(frames, map[string]any{
				"function": f.Function, "filename": f.File, "absPath": "/src/" + f.File, "module": nil, "lineNo": f.Line, "colNo": nil, "inApp": f.InApp, "context": []any{},
			})
		}
		values = append(values, map[string]any{
			"type": x.Type, "value": x.Value, "module": nil, "mechanism": map[string]any{"type": "generic", "handled": !x.Unhandled},
			"stacktrace": map[string]any{"frames": frames, "hasSystemFrames": true}, "rawStacktrace": nil, "threadId": nil,
		})
	}
	id := fmt.Sprintf("%032x", 0xabc000+len(i.Title)+atoi(i.ID))
	o := map[string]any{
		"id": id, "eventID": id, "groupID": i.ID, "projectID": project, "title": i.Title, "message": i.Message, "type": "error", "platform": "go",
		"dateReceived": i.Last.UTC(), "dateCreated": i.Last.UTC(),
		"entries": []any{
			map[string]any{"type": "breadcrumbs", "data": map[string]any{"values": []any{}}},
			map[string]any{"type": "exception", "data": map[string]any{"values": values, "hasSystemFrames": true}},
		},
		"tags":  []any{map[string]any{"key": "environment", "value": "production"}, map[string]any{"key": "release", "value": i.Release}},
		"_meta": map[string]any{}, "metadata": map[string]any{}, "packages": map[string]any{},
	}
	for _, k := range strings.Fields("errors resolvedWith sdkUpdates") {
		o[k] = []any{}
	}
	for _, k := range strings.Fields("context contexts dist location nextEventID occurrence previousEventID release sdk size user userReport") {
		o[k] = nil
	}
	return o
}

func (s *Server) releaseObject(v release) map[string]any {
	return map[string]any{
		"id": 1, "version": v.version, "shortVersion": v.version, "status": "open", "dateCreated": v.made.UTC(), "dateReleased": nil, "newGroups": 0, "commitCount": 0,
		"deployCount": 0, "data": map[string]any{}, "authors": []any{}, "versionInfo": nil,
		"projects": []any{map[string]any{"id": atoi(s.id(v.project)), "slug": v.project, "name": v.project, "newGroups": 0, "platform": "go", "platforms": []any{"go"}, "hasHealthData": false}},
	}
}

func deployObject(n int, d Deploy) map[string]any {
	o := map[string]any{"id": strconv.Itoa(n + 1), "environment": d.Environment, "name": nil, "dateStarted": nil, "dateFinished": d.At.UTC(), "url": nil}
	if d.Name != "" {
		o["name"] = d.Name
	}
	return o
}
