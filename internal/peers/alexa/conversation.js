// A conversation that ask-sdk-test holds with the real program. Its requests are
// signed here and posted to BOT_URL, in the place of a Lambda function. KEY is
// the file of the signing key, CHAIN_URL where the certificates are said to be,
// PIN what the person says. Run by mocha.
import { expect } from "chai";
import { createSign, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { AlexaTest, IntentRequestBuilder, LaunchRequestBuilder, SessionEndedRequestBuilder } = createRequire(import.meta.url)("ask-sdk-test");
const { APP_ID, BOT_URL, CHAIN_URL, KEY, PIN } = process.env;
const key = readFileSync(KEY);

const settings = {
  appId: APP_ID,
  userId: "amzn1.ask.account.SDK",
  deviceId: "amzn1.ask.device.SDK",
  locale: "en-US",
  handler: async () => {},
};

async function post(envelope) {
  envelope.context.System.person = { personId: "amzn1.ask.person.SDK" };
  envelope.request.requestId = `amzn1.echo-api.request.${randomUUID()}`;
  envelope.request.timestamp = new Date().toISOString();
  const body = JSON.stringify(envelope);
  const signature = createSign("RSA-SHA256").update(body).sign(key, "base64");
  const began = Date.now();
  const answer = await fetch(BOT_URL, {
    method: "POST",
    headers: { "content-type": "application/json", signaturecertchainurl: CHAIN_URL, "signature-256": signature },
    body,
  });
  const text = await answer.text();
  expect(answer.status, text).to.equal(200);
  expect(Date.now() - began, "milliseconds").to.be.below(8000);
  expect(text.length).to.be.at.most(24 * 1024);
  return JSON.parse(text);
}

const speech = (response) => (response.response.outputSpeech?.ssml ?? "").replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ").trim();

// Amazon's certification: an open session ends its speech with a question.
function certified(response) {
  if (response.response.shouldEndSession === false) {
    expect(speech(response)).to.match(/\?$/);
    expect(response.response.reprompt.outputSpeech.ssml).to.contain("?");
  }
}

const test = new AlexaTest(null, settings);
test.handler = settings.handler;
// What it would do with a Lambda function; a step may ask again until it hears
// what it waits for.
test.invokeFunction = async (_settings, step, envelope) => {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const response = await post(envelope);
    certified(response);
    console.log(`${step.name}\n· ${speech(response)}`);
    if (!step.until || step.until.test(speech(response))) return response;
    expect(Date.now(), `until ${step.until}: ${speech(response)}`).to.be.below(deadline);
    await new Promise((resolve) => setTimeout(resolve, 300));
    envelope.session.attributes = response.sessionAttributes ?? {};
  }
};

const intent = (name, slots = {}) => {
  const b = new IntentRequestBuilder(settings, name);
  for (const [slot, value] of Object.entries(slots)) b.withSlot(slot, value);
  return b.build();
};
const says = (re) => ({
  says: (ssml) => {
    const heard = ssml.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ").trim();
    expect(heard).to.match(re);
    return true;
  },
});
const agree = (name, until) => [
  { name: "(yes)", request: intent("AMAZON.YesIntent"), ...says(/PIN/), shouldEndSession: false, elicitsSlot: "text", elicitsForIntent: "anything" },
  { name: "(the PIN)", request: intent("anything", { text: PIN }), ...says(new RegExp(name, "i")), shouldEndSession: false },
  { name: "how is it going", request: intent("status_targets_it"), until, shouldEndSession: false },
];

describe("a conversation", () => {
  test.test(
    [
      { name: "(opens the skill)", request: new LaunchRequestBuilder(settings).build(), ...says(/Hello/), shouldEndSession: false, repromptsLike: "?" },
      { name: "how is web", request: intent("status", { targets: "web" }), ...says(/web.*(3|three) of (3|three)/i), shouldEndSession: false },
      {
        name: "scale web to 5",
        request: intent("scale", { targets: "web", replicas: "5" }),
        ...says(/web.*from (3|three) to (5|five)\b.*shall I/i),
        repromptsLike: "?",
        shouldEndSession: false,
        hasCardTitle: "First mate",
        hasCardContentLike: "web",
      },
      ...agree("web", /web .*(5|five) of (5|five)/i),
      {
        name: "roll out v2 of checkout",
        request: intent("deploy", { targets: "checkout", version: "v two" }),
        ...says(/checkout.*to (v2|version two)\b.*shall I/i),
        shouldEndSession: false,
      },
      ...agree("checkout", /checkout (runs|is fine|is on)\b.*(v2|version two)\b/i),
      { name: "why is checkout slow", request: intent("diagnose_symptom_slow", { targets: "checkout" }), ...says(/not enough evidence/i), shouldEndSession: false },
      { name: "undo", request: intent("undo"), ...says(/checkout.*from (v2|version two) to (v1|version one)\b.*shall I/i), shouldEndSession: false },
      ...agree("checkout", /checkout (runs|is fine|is (back )?on)\b.*(v1|version one)\b/i),
      { name: "(help)", request: intent("AMAZON.HelpIntent"), ...says(/you can say/i), shouldEndSession: false },
      { name: "(noise)", request: intent("AMAZON.FallbackIntent"), ...says(/did not understand/i), shouldEndSession: false },
      { name: "scale web to 9", request: intent("scale", { targets: "web", replicas: "9" }), ...says(/shall I/i), shouldEndSession: false },
      { name: "(no)", request: intent("AMAZON.NoIntent"), ...says(/leave web as it is/i), shouldEndSession: false },
      { name: "(no, nothing else)", request: intent("AMAZON.NoIntent"), ...says(/Goodbye/), shouldEndSession: true },
    ],
    "scales, rolls out, asks, undoes",
  );
  test.test(
    [
      { name: "how is web, in one sentence", request: intent("status", { targets: "web" }), ...says(/web.*(5|five) of (5|five)/i), shouldEndSession: true },
      { name: "(the session ends)", request: new SessionEndedRequestBuilder(settings, "USER_INITIATED").build(), saysNothing: true },
    ],
    "answers a question in one sentence and listens no longer",
  );
});
