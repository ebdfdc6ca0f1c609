import { Command } from 'commander';
/** placeholder */
export function modelCommand(): Command {
  return new Command('model').description('show the classifier, or install one');
}
