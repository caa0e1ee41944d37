"""GoogleTest programs of the build: every case is one lit test, in a process of
its own. lit's own format runs cases in shards, where a crash hides the others'
results and the reason of a skip is lost."""

import os
import subprocess

import lit.Test
import lit.util
from lit.formats.base import TestFormat


class GoogleTestCases(TestFormat):
    def __init__(self, directory):
        self.directory = directory

    def getTestsInDirectory(self, suite, path_in_suite, lit_config, local_config):
        if path_in_suite != ("unit",) or not os.path.isdir(self.directory):
            return
        for program in sorted(os.listdir(self.directory)):
            path = os.path.join(self.directory, program)
            if not (os.path.isfile(path) and os.access(path, os.X_OK)):
                continue
            for case in self.cases(path, local_config.environment):
                yield lit.Test.Test(
                    suite, path_in_suite + (program, case), local_config, file_path=path
                )

    @staticmethod
    def cases(path, environment):
        listing = subprocess.run(
            [path, "--gtest_list_tests"], env=environment, stdout=subprocess.PIPE, text=True
        )
        if listing.returncode != 0:
            return ["cannot-list-its-tests"]  # then running it fails and shows why
        names, group = [], ""
        for line in listing.stdout.splitlines():
            text = line.split("#")[0].rstrip()
            if not line.startswith(" "):
                group = text
            elif "DISABLED_" not in group + text:
                names.append(group + text.strip())
        return names

    def execute(self, test, lit_config):
        command = [test.file_path, "--gtest_filter=" + "/".join(test.path_in_suite[2:])]
        if lit_config.noExecute:
            return lit.Test.PASS, ""
        try:
            out, err, code = lit.util.executeCommand(
                command, env=test.config.environment, timeout=lit_config.maxIndividualTestTime
            )
        except lit.util.ExecuteCommandTimeoutException as e:
            return lit.Test.TIMEOUT, " ".join(command) + "\n" + e.out
        if code != 0 or "[==========] Running 1 test from" not in out:
            return lit.Test.FAIL, "%s\nexit %d\n%s%s" % (" ".join(command), code, out, err)
        if "[  SKIPPED ]" in out:
            lines = out.splitlines()
            at = next(i for i, l in enumerate(lines) if l.startswith("[ RUN"))
            reason = [l for l in lines[at + 1 :] if l.strip() and not l.startswith("[")]
            # gtest prints "file:line: Skipped", then the message.
            return lit.Test.UNSUPPORTED, " ".join(reason[1:] or reason)
        return lit.Test.PASS, ""
