// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const control = /[\u0000-\u001f\u007f-\u009f]+/g

/** Text that a box may have made, for a message of VS Code: one line, and no `[text](command:…)` that would become a link. */
export const plain = (text: string): string => text.replaceAll(control, ' ').replaceAll('](', '] (')
