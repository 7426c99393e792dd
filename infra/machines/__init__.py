"""The source of the state machines: ``python -m infra.machines`` writes their YAML files.

YAML anchors would not do. ``sam deploy`` uploads the file of ``DefinitionUri`` as it is
(``ServerlessStateMachineResource`` in samcli), so CloudFormation would have to resolve them, which
no document of AWS promises; and the Amazon States Language has no place to define them.
"""
