"use strict";
// The code of a one-time link stands behind the #: it is handed in once, and taken
// out of the address before anything else.

const code = location.hash.slice(1);
if (code) {
  history.replaceState(null, "", location.pathname);
  const problem = document.getElementById("problem");
  fetch("/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code }),
  }).then(async (r) => {
    if (r.ok) return location.replace("/");
    const answer = await r.json().catch(() => ({}));
    problem.textContent = answer.error || "That did not work. Try again.";
  }).catch(() => {
    problem.textContent = "I cannot reach firstmate. Is it running?";
  });
}
