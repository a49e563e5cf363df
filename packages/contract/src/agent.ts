/** Agents that a session knows by name: how each is installed, run without questions, and which variables it may get. */

export interface KnownAgent {
  /** npm package that it is installed from where the box has it not. */
  readonly package: string
  readonly program: string
  /** Its arguments; `{task}` is the task. It runs to its end without asking: the box is what holds it. */
  readonly args: readonly string[]
  /** Variables of the caller that reach it if they are set: credentials, and where its model is. */
  readonly env: readonly string[]
}

/**
 * Sources. claude: https://code.claude.com/docs/en/cli-reference (`-p`, `--dangerously-skip-permissions`) and /en/env-vars. codex:
 * https://developers.openai.com/codex/noninteractive (`codex exec`, `CODEX_API_KEY`); the flag that takes its own sandbox away is in
 * https://github.com/openai/codex/blob/rust-v0.66.0/docs/sandbox.md. gemini: docs/cli/headless.md (`-p`) of https://github.com/google-gemini/gemini-cli and
 * its `--help` (`--approval-mode`; `--skip-trust`, as in a directory that is not trusted the mode is taken back). opencode:
 * https://opencode.ai/docs/cli (`opencode run`, `OPENCODE_CONFIG_CONTENT`) and /docs/providers.
 */
export const knownAgents = {
  claude: {
    package: '@anthropic-ai/claude-code',
    program: 'claude',
    args: ['-p', '--dangerously-skip-permissions', '{task}'],
    env: [
      'ANTHROPIC_API_KEY',
      'ANTHROPIC_AUTH_TOKEN',
      'ANTHROPIC_BASE_URL',
      'ANTHROPIC_MODEL',
      'CLAUDE_CODE_OAUTH_TOKEN',
    ],
  },
  codex: {
    package: '@openai/codex',
    program: 'codex',
    args: ['exec', '--dangerously-bypass-approvals-and-sandbox', '{task}'],
    env: ['CODEX_API_KEY', 'OPENAI_API_KEY', 'OPENAI_BASE_URL'],
  },
  gemini: {
    package: '@google/gemini-cli',
    program: 'gemini',
    args: ['--approval-mode=yolo', '--skip-trust', '-p', '{task}'],
    env: ['GEMINI_API_KEY', 'GOOGLE_API_KEY', 'GOOGLE_GENAI_USE_VERTEXAI', 'GOOGLE_GEMINI_BASE_URL', 'GEMINI_MODEL'],
  },
  opencode: {
    package: 'opencode-ai',
    program: 'opencode',
    args: ['run', '{task}'],
    env: ['ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'GEMINI_API_KEY', 'OPENROUTER_API_KEY', 'OPENCODE_CONFIG_CONTENT'],
  },
} as const satisfies Record<string, KnownAgent>

export const knownAgent = (name: string): KnownAgent | undefined =>
  Object.hasOwn(knownAgents, name) ? knownAgents[name as keyof typeof knownAgents] : undefined
