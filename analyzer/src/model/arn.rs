//! What an execution ARN says: region, account, machine, workflow type, execution name.

/// The two workflow types of Step Functions; they are billed differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkflowType {
    Standard,
    Express,
}

impl WorkflowType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Express => "EXPRESS",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "STANDARD" => Some(Self::Standard),
            "EXPRESS" => Some(Self::Express),
            _ => None,
        }
    }
}

/// The parts of `arn:PARTITION:states:REGION:ACCOUNT:(execution|express):MACHINE:NAME[:UUID]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionArn<'a> {
    pub partition: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub workflow_type: WorkflowType,
    /// The state machine's name; `NAME/LABEL` for the children of a Distributed Map.
    pub machine: &'a str,
    pub name: &'a str,
}

impl<'a> ExecutionArn<'a> {
    pub fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(7, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let partition = parts.next()?;
        if parts.next()? != "states" {
            return None;
        }
        let (region, account) = (parts.next()?, parts.next()?);
        let workflow_type = match parts.next()? {
            "execution" => WorkflowType::Standard,
            "express" => WorkflowType::Express,
            _ => return None,
        };
        let (machine, rest) = parts.next()?.split_once(':')?;
        let name = match workflow_type {
            WorkflowType::Standard => rest,
            WorkflowType::Express => rest.split_once(':').map_or(rest, |(name, _)| name),
        };
        (!machine.is_empty() && !name.is_empty()).then_some(Self {
            partition,
            region,
            account,
            workflow_type,
            machine,
            name,
        })
    }

    pub fn machine_arn(&self) -> String {
        format!("arn:{}:states:{}:{}:stateMachine:{}", self.partition, self.region, self.account, self.machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_workflow_types_and_map_children_are_understood() {
        let standard =
            ExecutionArn::parse("arn:aws:states:eu-west-1:123456789012:execution:orders:run:1").expect("an ARN");
        assert_eq!((standard.machine, standard.name), ("orders", "run:1"));
        assert_eq!(standard.machine_arn(), "arn:aws:states:eu-west-1:123456789012:stateMachine:orders");
        let child =
            ExecutionArn::parse("arn:aws:states:eu-west-1:123456789012:express:orders/Each:c:9f").expect("an ARN");
        assert_eq!((child.workflow_type, child.machine, child.name), (WorkflowType::Express, "orders/Each", "c"));
        assert_eq!(ExecutionArn::parse("arn:aws:states:eu-west-1:123456789012:stateMachine:orders"), None);
    }
}
