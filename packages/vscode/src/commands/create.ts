import { type Choice, type CreateOptions, GibilError } from '@gibil/sdk'
import { env, window, workspace } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { choiceLines } from '../labels/choice.ts'
import { withProgress } from '../progress.ts'
import { ask, choose, nameComplaint, separator } from './pick.ts'
import { askNeeds } from './questions.ts'

const title = 'Create Box'

/** Finds out which box is meant, and makes it. Answers with what is to be done with it then. */
export async function createBox(daemon: Daemon): Promise<void> {
  const { gibil } = daemon
  const asks = await choose(
    [
      { label: '$(zap) As usual', description: 'a container for an hour', value: false },
      { label: '$(list-unordered) By what it is needed for', description: 'a few questions', value: true },
    ],
    { title, placeHolder: 'Which box?' },
  )
  const choice = await gibil.choose(asks ? await askNeeds() : {})
  if (choice.unavailable) return tellWhatIsMissing(choice)
  if (asks) await confirm(choice)
  const repo = await askRepo()
  const name = await ask({
    title,
    prompt: 'What is it called?',
    placeHolder: 'empty: a name is made up',
    validateInput: nameComplaint,
  })
  const options: CreateOptions = {
    ...withoutRepo(choice.create),
    ...(repo === '' ? {} : { repo }),
    ...(name === '' ? {} : { name }),
  }
  const box = await withProgress(`Creating ${name || 'a box'}`, (call) => gibil.create(options, call))
  await daemon.refresh()
  void window.showInformationMessage(`${box.name} is running.`)
}

const withoutRepo = ({ repo: _, ...create }: Choice['create']): Omit<Choice['create'], 'repo'> => create

async function confirm(choice: Choice): Promise<void> {
  const { box, facts, because, notes, others } = choiceLines(choice)
  const told = (label: string, description: string) => ({ label, description, value: false })
  const items = [
    { label: `$(check) ${box}`, description: facts, detail: `because: ${because}`, value: true },
    ...(notes.length > 0 ? [separator('notes')] : []),
    ...notes.map((text) => told('$(info)', text)),
    separator('why not another'),
    ...others.map((other) => told(`$(circle-slash) ${other.box}`, other.why)),
  ]
  // What is only told is not chosen.
  while (!(await choose(items, { title, placeHolder: 'This box does it. Create it?' })));
}

async function tellWhatIsMissing({ shape, unavailable, before }: Choice): Promise<void> {
  const text = `A ${shape} does it, and cannot be made here now: ${unavailable?.message} ${unavailable?.hint}`
  const copy = 'Copy Commands'
  const picked = await window.showWarningMessage(text, ...(before.length > 0 ? [copy] : []))
  if (picked === copy) await env.clipboard.writeText(`${before.join('\n')}\n`)
}

/** A path here, an address, or nothing. */
async function askRepo(): Promise<string> {
  const folders = (workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file')
  const picked = await choose<string | undefined>(
    [
      ...folders.map(({ name, uri }) => ({
        label: `$(folder) ${name}`,
        description: 'this folder, with uncommitted changes',
        value: uri.fsPath,
      })),
      { label: '$(repo-clone) A repository…', value: undefined },
      { label: '$(circle-outline) Nothing', value: '' },
    ],
    { title, placeHolder: 'What is in it?' },
  )
  if (picked !== undefined) return picked
  const address = await ask({ title, prompt: 'Which repository?', placeHolder: 'github.com/you/project' })
  if (address === '') throw new GibilError('cancelled', 'No repository was named.')
  return address
}
